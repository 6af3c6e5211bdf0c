// The public API, and nothing but it. Every call carries the token, live streams too: that is why they are read with
// fetch, and not with EventSource, which can send none.
import { signal } from "./html.js";

const KEPT = "nightshift.token";

/** What the sign-in form says; null while nobody has to sign in. */
export const signIn = signal(null);

takeTokenFromAddress();

function takeTokenFromAddress() {
  const given = /^#token=([^&]+)/.exec(location.hash);
  if (!given) return;
  sessionStorage.setItem(KEPT, decodeURIComponent(given[1]));
  history.replaceState(null, "", location.pathname);
}

export function useToken(token) {
  sessionStorage.setItem(KEPT, token.trim());
  signIn.value = null;
}

export function forgetToken() {
  sessionStorage.removeItem(KEPT);
  signIn.value = { why: "You are signed out." };
}

export const hasToken = () => sessionStorage.getItem(KEPT) !== null;

function headers(more) {
  const token = sessionStorage.getItem(KEPT);
  return token ? { ...more, authorization: `Bearer ${token}` } : more;
}

/** What the service refused, in its own words. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function answer(request) {
  let response;
  try {
    response = await request;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The console does not answer. The page tries again by itself.");
  }
  if (response.ok) return response;
  const text = await response.text();
  let message = text;
  try {
    message = JSON.parse(text).error.message;
  } catch {
    // Then it is no JSON, and the text says it.
  }
  if (response.status === 401) {
    signIn.value = { why: sessionStorage.getItem(KEPT) ? message : "" };
  }
  throw new Refused(response.status, message || `The console answered ${response.status}.`);
}

export async function get(path, signal) {
  return (await answer(fetch(path, { headers: headers({}), signal }))).json();
}

export async function post(path, body) {
  const options = { method: "POST", headers: headers({ "content-type": "application/json" }) };
  const text = await (await answer(fetch(path, { ...options, body: JSON.stringify(body) }))).text();
  return text ? JSON.parse(text) : {};
}

/** Saves what a path answers as a file: a link could not carry the token. */
export async function download(path, name) {
  const file = await (await answer(fetch(path, { headers: headers({}) }))).blob();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Server-sent events of a path, until the signal aborts it or it ends. */
export async function* events(path, after, signal) {
  const more = { accept: "text/event-stream", ...(after ? { "last-event-id": after } : {}) };
  const response = await answer(fetch(path, { headers: headers(more), signal, cache: "no-store" }));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const event = { id: "", data: "" };
      for (const line of part.split("\n")) {
        const [, field, text] = /^([a-z]*): ?(.*)$/.exec(line) ?? [];
        if (field === "id") event.id = text;
        if (field === "data") event.data += text;
      }
      yield event;
    }
  }
}
