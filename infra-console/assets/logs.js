// Keeps the lines in view where they are while lines are added, unless the end of the log is in view, and while a line is
// opened.
"use strict";

/** The first line in view and its position, unless the end of the log is in view. */
let anchor;

function box() {
  return document.querySelector(".log");
}

function remember() {
  anchor = undefined;
  const log = box();
  // The list begins at its end: the position at the end is 0, and positions before it are negative.
  if (!log || log.scrollTop > -2) return;
  const { left, top } = log.getBoundingClientRect();
  const line = document.elementFromPoint(left + 20, Math.max(top, 0) + 12)?.closest("li");
  if (line) anchor = { line, top: line.getBoundingClientRect().top };
}

function restore() {
  if (anchor?.line.isConnected) box().scrollTop += anchor.line.getBoundingClientRect().top - anchor.top;
  remember();
}

/** The list grows upwards, so without this an opened line would leave its place. */
function hold(event) {
  const line = event.target.closest?.(".log summary");
  if (!line) return;
  const { top } = line.getBoundingClientRect();
  requestAnimationFrame(() => {
    box().scrollTop += line.getBoundingClientRect().top - top;
    remember();
  });
}

document.addEventListener("scroll", remember, { capture: true, passive: true });
document.addEventListener("toggle", remember, { capture: true });
document.addEventListener("click", hold);
document.addEventListener("updated", restore);
