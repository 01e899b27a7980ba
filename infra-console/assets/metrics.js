// Reads values of plots with the pointer or the arrow keys, and saves plots as PNG files.
"use strict";

document.documentElement.classList.add("scripted");

/** The figure with a cursor and the time at the cursor, in milliseconds since 1970. */
let reading = null;

/** Formats a value as the server does. */
function format(value) {
  if (value === null || value === undefined) return "–";
  const scales = [[1e12, "T"], [1e9, "G"], [1e6, "M"]];
  const [scale, suffix] = scales.find(([scale]) => Math.abs(value) >= scale) ?? (Math.abs(value) >= 1e4 ? [1e3, "k"] : [1, ""]);
  const scaled = value / scale;
  const size = Math.abs(scaled);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.01 || size === 0 ? 2 : 4;
  return String(Number(scaled.toFixed(digits))) + suffix;
}

/** Shows the values of the measurement that is nearest to the cursor. */
function show(figure, time) {
  const { area: [left, right, width], from, to, times, columns } = JSON.parse(figure.dataset.values);
  if (times.length === 0) return;
  const index = times.reduce((best, at, i) => Math.abs(at - time) < Math.abs(times[best] - time) ? i : best, 0);
  reading = { figure, time: times[index] };
  const share = (times[index] - from) / (to - from);
  const cursor = figure.querySelector(".cursor");
  cursor.style.left = `${(left + share * (right - left)) / width * 100}%`;
  cursor.classList.add("shown");
  cursor.firstElementChild.textContent = new Date(times[index]).toISOString().slice(11, 19);
  figure.querySelectorAll(".legend .value").forEach((value, i) => value.textContent = format(columns[i]?.[index]));
}

/** Shows the latest values again. */
function leave() {
  if (!reading) return;
  const { figure } = reading;
  reading = null;
  const { columns } = JSON.parse(figure.dataset.values);
  figure.querySelector(".cursor").classList.remove("shown");
  const latest = (column) => column?.findLast((value) => value !== null);
  figure.querySelectorAll(".legend .value").forEach((value, i) => value.textContent = format(latest(columns[i])));
}

document.addEventListener("pointermove", (event) => {
  const plot = event.target.closest?.(".area");
  if (!plot) return;
  const figure = plot.closest("figure");
  if (reading && reading.figure !== figure) leave();
  const { area: [left, right, width], from, to } = JSON.parse(figure.dataset.values);
  const box = plot.getBoundingClientRect();
  const place = (event.clientX - box.left) / box.width * width;
  show(figure, from + (place - left) / (right - left) * (to - from));
});
document.addEventListener("pointerout", (event) => {
  if (event.target.closest?.(".area") && !event.relatedTarget?.closest?.(".area")) leave();
});
document.addEventListener("focusout", leave);

document.addEventListener("keydown", (event) => {
  const figure = document.activeElement;
  if (!figure?.matches("figure[data-values]")) return;
  if (event.key === "Escape") return leave();
  const { times } = JSON.parse(figure.dataset.values);
  const current = reading?.figure === figure ? times.findLastIndex((time) => time <= reading.time) : times.length - 1;
  const moves = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: times.length - 1 };
  if (!(event.key in moves) || times.length === 0) return;
  event.preventDefault();
  const next = reading?.figure === figure || event.key === "Home" ? moves[event.key] : times.length - 1;
  show(figure, times[Math.min(Math.max(next, 0), times.length - 1)]);
});

// An update writes the latest values; the cursor stays at its time.
document.addEventListener("updated", () => {
  if (!reading) return;
  if (reading.figure.isConnected) show(reading.figure, reading.time);
  else reading = null;
});

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button.png");
  if (!button) return;
  const picture = new Image();
  picture.addEventListener("load", () => {
    const canvas = document.createElement("canvas");
    canvas.width = picture.naturalWidth;
    canvas.height = picture.naturalHeight;
    canvas.getContext("2d").drawImage(picture, 0, 0);
    canvas.toBlob((blob) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `${button.closest("figure").id.replace(/[^\w.]/g, "-")}.png`;
      link.click();
      URL.revokeObjectURL(link.href);
    }, "image/png");
  });
  picture.addEventListener("error", () => button.textContent = "PNG failed");
  picture.src = button.dataset.picture;
});
