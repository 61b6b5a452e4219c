// Goes to another address after some seconds, or looks at the same one again.

const waiting = document.querySelector("[data-lb-later]");

window.setTimeout(() => {
  if (waiting.dataset.lbTo) {
    window.location.assign(waiting.dataset.lbTo);
  } else {
    window.location.reload();
  }
}, 1000 * Number(waiting.dataset.lbLater));
