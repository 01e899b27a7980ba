// Updates a page in place when one of its topics changes, and adds the controls that need a script.
"use strict";

/** The shortest time between two updates of a page, in milliseconds. */
const PAUSE = 400;

/** Makes `old` equal to `next` and keeps everything that is equal already, so that nothing moves or loses its focus. */
function morph(old, next) {
  if (old.isEqualNode(next)) return;
  if (old.nodeType !== next.nodeType || old.nodeName !== next.nodeName || old.id !== next.id) {
    old.replaceWith(next.cloneNode(true));
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.nodeValue = next.nodeValue;
    return;
  }
  // The user's input, an opened part and what a script controls stay.
  if (old.hasAttribute("data-keep") || old === document.activeElement && old.matches("input, select, textarea")) return;
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  morphChildren(old, next);
}

/** Children with an id or a `data-key` keep their element, wherever they are in the list. */
function morphChildren(old, next) {
  const key = (node) => node.nodeType === Node.ELEMENT_NODE ? node.id || node.dataset.key : undefined;
  // Removed first, they do not displace those that stay: a moved element loses its focus and its place on the screen.
  const kept = new Set([...next.childNodes].map(key));
  [...old.childNodes].filter((node) => key(node) && !kept.has(key(node))).forEach((node) => node.remove());
  const keyed = new Map([...old.childNodes].filter(key).map((node) => [key(node), node]));
  let position = old.firstChild;
  for (const wanted of [...next.childNodes]) {
    const known = key(wanted) ? keyed.get(key(wanted)) : undefined;
    if (known && known !== position) old.insertBefore(known, position);
    const match = known ?? (position && !key(position) && !key(wanted) ? position : undefined);
    if (match) {
      const after = match.nextSibling;
      morph(match, wanted);
      position = after;
    } else {
      old.insertBefore(wanted.cloneNode(true), position);
    }
  }
  while (position) {
    const after = position.nextSibling;
    position.remove();
    position = after;
  }
}

/** Requests the page again, one request at a time, and updates it. */
const page = {
  running: false,
  again: false,
  async update() {
    if (this.running) {
      this.again = true;
      return;
    }
    this.running = true;
    try {
      const response = await fetch(location.href, { headers: { accept: "text/html" } });
      const next = new DOMParser().parseFromString(await response.text(), "text/html");
      const main = next.getElementById("main");
      if (main && response.status !== 401) {
        morph(document.getElementById("main"), main);
        document.title = next.title;
        document.dispatchEvent(new Event("updated"));
      }
    } catch {
      // The connection's state is shown by `connect`.
    }
    setTimeout(() => {
      this.running = false;
      if (this.again) {
        this.again = false;
        this.update();
      }
    }, PAUSE);
  },
};

/** Listens to changes of these topics while the page is shown: a browser opens only six connections to a host. */
function connect(topics) {
  const badge = document.getElementById("connection");
  let source;
  let lost = false;
  const open = () => {
    source = new EventSource("/live");
    source.addEventListener("changed", (event) => {
      if (event.data.split(" ").some((topic) => topics.includes(topic))) page.update();
    });
    source.addEventListener("open", () => {
      badge.hidden = true;
      if (lost) page.update();
      lost = false;
    });
    source.addEventListener("error", () => {
      lost = true;
      badge.hidden = false;
    });
  };
  open();
  window.addEventListener("pagehide", () => source.close());
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    lost = true;
    open();
  });
}

// On a phone, the navigation is wider than the window.
document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

const topics = document.body.dataset.topics.split(" ").filter(Boolean);
if (topics.length > 0) connect(topics);
