// The page: categories, and the acts of the selected one.

import { api } from "./api.js";
import { encode, url } from "./picture.js";
import { sha1Hex } from "./sha1.js";

/** Number of acts that are loaded at once. */
const PAGE = 12;

const element = (id) => document.getElementById(id);
const state = { user: sessionStorage.getItem("user"), category: null, size: 0, shown: 0 };

function notify(message, isError = false) {
  const notice = element("notice");
  notice.textContent = message;
  notice.hidden = message === "";
  notice.classList.toggle("error", isError);
}

/** Runs an action of a form or button, which is disabled meanwhile, and shows its error. */
async function run(control, action) {
  control.disabled = true;
  notify("");
  try {
    await action();
  } catch (error) {
    notify(error.message, true);
  } finally {
    control.disabled = false;
  }
}

function onSubmit(id, action) {
  element(id).addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    run(event.submitter ?? form.querySelector("button"), () => action(form, event.submitter));
  });
}

function onClick(button, action) {
  button.addEventListener("click", () => run(button, action));
}

function showUser() {
  element("who").textContent = state.user ?? "";
  element("account").hidden = !state.user;
  element("welcome").hidden = Boolean(state.user);
  document.querySelectorAll(".member").forEach((member) => {
    member.hidden = !state.user;
  });
}

function setUser(user) {
  state.user = user;
  if (user) {
    sessionStorage.setItem("user", user);
  } else {
    sessionStorage.removeItem("user");
  }
  showUser();
}

async function showCategories() {
  const categories = await api.categories();
  if (!categories.some(([name]) => name === state.category)) {
    state.category = null;
  }
  element("categories").replaceChildren(...categories.map(([name, count]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${name} (${count})`;
    button.setAttribute("aria-pressed", String(name === state.category));
    onClick(button, () => select(name));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
  element("no-categories").hidden = categories.length > 0;
  element("category").hidden = state.category === null;
}

async function select(name) {
  state.category = name;
  await showCategories();
  await showActs();
}

/** Shows the newest acts of the selected category. */
async function showActs() {
  element("acts").replaceChildren();
  state.shown = 0;
  if (state.category === null) {
    return;
  }
  element("category-title").textContent = state.category;
  state.size = await api.size(state.category);
  await showMore();
}

async function showMore() {
  const [start, end] = [state.shown + 1, Math.min(state.shown + PAGE, state.size)];
  if (start <= end) {
    const acts = await api.acts(state.category, start, end);
    element("acts").append(...acts.map(card));
    state.shown = end;
  }
  element("no-acts").hidden = state.size > 0;
  element("more").hidden = state.shown >= state.size;
}

/** Returns the card of an act. Everything that users wrote is text. */
function card(act) {
  const card = element("act").content.cloneNode(true);
  const find = (selector) => card.querySelector(selector);
  const source = url(act.imgB64);
  if (source) {
    find(".picture").src = source;
    find(".picture").alt = act.caption || `Picture by ${act.username}`;
  }
  find(".caption").textContent = act.caption;
  find(".author").textContent = act.username;
  find("time").textContent = readable(act.timestamp);
  const votes = find(".votes");
  votes.textContent = act.upvotes;
  find(".vote").setAttribute("aria-label", `Vote for the act of ${act.username}`);
  onClick(find(".vote"), async () => {
    await api.upvote(act.actId);
    act.upvotes += 1;
    votes.textContent = act.upvotes;
  });
  const remove = find(".delete");
  remove.hidden = act.username !== state.user;
  onClick(remove, async () => {
    if (confirm("Delete this act?")) {
      await api.deleteAct(act.actId);
      await select(state.category);
    }
  });
  return card;
}

const two = (number) => String(number).padStart(2, "0");

/** Returns a time as DD-MM-YYYY:SS-MM-HH. */
function timestamp(time) {
  const date = [two(time.getDate()), two(time.getMonth() + 1), String(time.getFullYear()).padStart(4, "0")];
  const clock = [time.getSeconds(), time.getMinutes(), time.getHours()].map(two);
  return `${date.join("-")}:${clock.join("-")}`;
}

/** Returns a timestamp of the service in the format of the browser's language. */
function readable(text) {
  const numbers = /^(\d{2})-(\d{2})-(\d{4}):(\d{2})-(\d{2})-(\d{2})$/.exec(text)?.slice(1).map(Number);
  if (!numbers) {
    return text;
  }
  const [day, month, year, second, minute, hour] = numbers;
  const time = new Date(2000, month - 1, day, hour, minute, second);
  time.setFullYear(year, month - 1, day);
  return time.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** Returns a random ID below 2^53. */
function newId() {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return (high & 0x1fffff) * 0x100000000 + low;
}

onSubmit("sign-in", async (form, submitter) => {
  const username = form.elements.username.value;
  const password = await sha1Hex(form.elements.password.value);
  if (submitter?.value === "sign-up") {
    await api.signUp(username, password);
    notify(`Welcome, ${username}.`);
  } else if (!await api.signIn(username, password)) {
    throw new Error("The name or the password is wrong.");
  }
  form.reset();
  setUser(username);
  await select(state.category);
});

onClick(element("sign-out"), async () => {
  setUser(null);
  await select(state.category);
});

onSubmit("new-category", async (form) => {
  const name = form.elements.name.value.trim();
  await api.addCategory(name);
  form.reset();
  await select(name);
});

onClick(element("delete-category"), async () => {
  if (confirm(`Delete ${state.category} and all its acts?`)) {
    await api.deleteCategory(state.category);
    await select(null);
  }
});

element("upload").elements.picture.addEventListener("change", async (event) => {
  const preview = element("preview");
  preview.hidden = true;
  const [file] = event.target.files;
  if (file) {
    try {
      preview.src = url(await encode(file));
      preview.hidden = false;
      notify("");
    } catch (error) {
      notify(error.message, true);
    }
  }
});

onSubmit("upload", async (form) => {
  await api.addAct({
    actId: newId(),
    username: state.user,
    timestamp: timestamp(new Date()),
    caption: form.elements.caption.value,
    categoryName: state.category,
    imgB64: await encode(form.elements.picture.files[0]),
  });
  form.reset();
  element("preview").hidden = true;
  element("upload-panel").open = false;
  await select(state.category);
  notify("Shared.");
});

onClick(element("more"), showMore);

showUser();
showCategories().catch((error) => notify(error.message, true));
