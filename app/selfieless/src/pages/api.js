// Requests to the API of this origin.

const BASE = "/api/v1";

/** Error with the message of the service. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Sends a request. Returns the status, and the parsed body unless it is empty. */
async function call(method, path, body) {
  const options = { method, headers: {}, cache: "no-store" };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(BASE + path, options);
  } catch {
    throw new Refusal(0, "The service cannot be reached.");
  }
  const text = await response.text();
  let value = null;
  try {
    value = text === "" ? null : JSON.parse(text);
  } catch {
    // Not a response of the service, but of a proxy.
  }
  if (!response.ok) {
    throw new Refusal(response.status, value?.detail ?? `The service failed with status ${response.status}.`);
  }
  return { status: response.status, value };
}

const part = encodeURIComponent;

export const api = {
  signUp: (username, password) => call("POST", "/users", { username, password }),

  /** Returns whether the user exists and the password is right. */
  async signIn(username, password) {
    try {
      return (await call("POST", "/validate_user", { username, password })).status === 200;
    } catch (error) {
      if (error.status === 400) {
        return false;
      }
      throw error;
    }
  },

  /** Returns pairs of names and numbers of acts. */
  async categories() {
    return Object.entries((await call("GET", "/categories")).value ?? {});
  },

  addCategory: (name) => call("POST", "/categories", [name]),
  deleteCategory: (name) => call("DELETE", `/categories/${part(name)}`),

  async size(category) {
    return (await call("GET", `/categories/${part(category)}/acts/size`)).value[0];
  },

  /** Returns acts by position, from 1. */
  async acts(category, start, end) {
    return (await call("GET", `/categories/${part(category)}/acts?start=${start}&end=${end}`)).value ?? [];
  },

  addAct: (act) => call("POST", "/acts", act),
  upvote: (id) => call("POST", "/acts/upvote", [id]),
  deleteAct: (id) => call("DELETE", `/acts/${id}`),
};
