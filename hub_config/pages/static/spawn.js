// Sends the start form to the chosen project, once.

const form = document.getElementById("spawn_form");
const start = document.getElementById("start");

function aim() {
  const chosen = form.querySelector("input[name=project]:checked");
  if (chosen && start) {
    start.formAction = chosen.dataset.action;
  }
}

function showStarting() {
  start.querySelector("[data-lb-label]").textContent = "Starting";
  form.querySelector("[data-lb-hint]").textContent = "This takes a few seconds.";
  // A disabled button would not be submitted: disable it after the form has gone.
  window.setTimeout(() => {
    start.disabled = true;
  });
}

function ready() {
  if (start) {
    start.disabled = false;
    start.querySelector("[data-lb-label]").textContent = "Start";
  }
  aim();
}

form.addEventListener("change", aim);
form.addEventListener("submit", showStarting);
// The browser's Back button shows the page as it was left.
window.addEventListener("pageshow", ready);
