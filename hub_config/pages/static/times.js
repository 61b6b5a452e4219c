// Shows moments in the reader's zone, and says which zone that is.

const format = new Intl.DateTimeFormat(undefined, {
  dateStyle: "medium",
  timeStyle: "short",
});
const zone = new Intl.DateTimeFormat(undefined, { timeZoneName: "short" });

function zoneName(moment) {
  return zone.formatToParts(moment).find((part) => part.type === "timeZoneName")?.value ?? "";
}

for (const element of document.querySelectorAll("time[data-lb-local]")) {
  const moment = new Date(element.dateTime);
  element.textContent = `${format.format(moment)} ${zoneName(moment)}`;
}
