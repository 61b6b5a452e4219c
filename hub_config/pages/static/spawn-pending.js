// Follows the start of a workspace, in words; goes there when it is ready.

import { request } from "./api.js";

// What the hub says of itself, in the reader's words; a spawner's own messages are written for readers.
const WORDS = {
  "Server requested": "Your workspace is being prepared.",
  "Spawning server...": "Your workspace is starting.",
  "Spawn cancelled": "It was cancelled.",
};

const main = document.querySelector("[data-lb-progress]");
const find = (name) => main.querySelector(`[data-lb-${name}]`);
const bar = document.getElementById("progress-bar");
const begun = Date.now();

// How the hub prefixes a failure: with a refusal's class and reason, or with a status.
const TECHNICAL = /^Spawn failed: (?:\d{3} \w+\(reason=[^)]*\): |HTTP \d{3}: )?/;

function inWords(message) {
  const plain = message.replace(TECHNICAL, "");
  return WORDS[plain] ?? plain;
}

function duration(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

function logLine(words) {
  const line = document.createElement("li");
  line.textContent = `${new Date().toLocaleTimeString()}  ${words}`;
  document.getElementById("progress-log").append(line);
}

function showProgress(percent) {
  bar.style.width = `${percent}%`;
  bar.parentElement.setAttribute("aria-valuenow", percent);
}

const clock = window.setInterval(() => {
  find("elapsed").textContent = duration(Date.now() - begun);
}, 1000);

function fail(words) {
  window.clearInterval(clock);
  bar.classList.add("lb-failed");
  find("heading").textContent = "Could not start";
  document.getElementById("progress-message").hidden = true;
  find("elapsed").hidden = true;
  find("waiting").hidden = true;
  find("cancel").hidden = true;
  find("reason").textContent = words;
  for (const part of ["failure", "retry", "back"]) {
    find(part).hidden = false;
  }
}

const events = new EventSource(main.dataset.lbProgress);

events.onmessage = ({ data }) => {
  const event = JSON.parse(data);
  const words = event.ready ? "Ready. Opening." : inWords(event.message ?? "");
  if (event.progress !== undefined) {
    showProgress(event.progress);
  }
  if (words) {
    document.getElementById("progress-message").textContent = words;
    logLine(words);
  }
  if (event.ready) {
    events.close();
    window.location.reload();
  }
  if (event.failed) {
    events.close();
    fail(words);
  }
};

find("cancel").addEventListener("click", async ({ currentTarget: button }) => {
  button.disabled = true;
  button.querySelector("span:last-child").textContent = "Cancelling";
  events.close();
  try {
    await request("DELETE", main.dataset.lbServerApi);
    window.location.assign(main.dataset.lbHome);
  } catch (error) {
    fail(`Cancelling did not work: ${error.message}`);
  }
});
