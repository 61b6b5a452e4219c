// Stops workspaces after one question, and follows those that are starting or stopping.

import { request } from "./api.js";

const LOOK_EVERY_MS = 2000;

const main = document.querySelector("[data-lb-api]");
const dialog = document.getElementById("stop-dialog");
const problem = document.querySelector("[data-lb-problem]");

function confirmed(title) {
  dialog.querySelector("[data-lb-name]").textContent = title;
  dialog.returnValue = "keep";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "stop"), { once: true });
  });
}

function tell(words) {
  problem.querySelector("span:last-child").textContent = words;
  problem.hidden = false;
}

function lookAgain() {
  window.setTimeout(() => window.location.reload(), LOOK_EVERY_MS);
}

async function stop(server, button) {
  const { lbServer: name, lbTitle: title } = server.dataset;
  if (!(await confirmed(title))) {
    return;
  }
  problem.hidden = true;
  button.disabled = true;
  try {
    const user = encodeURIComponent(main.dataset.lbUser);
    await request("DELETE", `${main.dataset.lbApi}users/${user}/servers/${encodeURIComponent(name)}`);
    window.location.reload();
  } catch (error) {
    button.disabled = false;
    tell(`${title} could not be stopped. ${error.message} Try again in a moment.`);
  }
}

for (const button of document.querySelectorAll("[data-lb-stop]")) {
  button.addEventListener("click", () => stop(button.closest("[data-lb-server]"), button));
}

if (document.querySelector("[data-lb-pending]")) {
  lookAgain();
}
