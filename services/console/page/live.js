// The overview as it changes: a connection that heals by itself and asks only for what it missed.
import { events, signIn } from "./api.js";
import { batch, signal } from "./html.js";
import { hear } from "./times.js";

/** The rollout as a whole; null until it was heard of. */
export const overview = signal(null);
/** Regions by their names. */
export const regions = signal({});
/** "connecting", "live", or "lost" since a moment. */
export const connection = signal({ state: "connecting" });

const SILENCE = 8_000;
const [FIRST_WAIT, LONGEST_WAIT] = [250, 5_000];

let stop = null;
let followed = null;

/** Follows a rollout; the newest if the name is empty. */
export function follow(rollout) {
  if (stop && followed === rollout) return;
  stop?.abort();
  stop = new AbortController();
  if (followed !== null) batch(forget);
  followed = rollout;
  keepOn(rollout, stop.signal);
}

function forget() {
  overview.value = null;
  regions.value = {};
}

async function keepOn(rollout, ended) {
  let [after, wait] = ["", FIRST_WAIT];
  while (!ended.aborted) {
    try {
      for await (const event of heardInTime(rollout, after, ended)) {
        take(JSON.parse(event.data));
        after = event.id;
        wait = FIRST_WAIT;
      }
    } catch (error) {
      if (ended.aborted) return;
      connection.value = { state: "lost", since: connection.value.since ?? Date.now(), why: error.message, status: error.status };
      // Without a token there is nothing to try again.
      if (error.status === 401) await signedIn();
    }
    await Promise.race([rested(wait), comesBack()]);
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }
}

/** The events of one connection, which ends when nothing was heard for too long. */
async function* heardInTime(rollout, after, ended) {
  const patience = new AbortController();
  let timer;
  const hope = () => {
    clearTimeout(timer);
    timer = setTimeout(() => patience.abort(new Error("nothing was heard from the console")), SILENCE);
  };
  hope();
  try {
    const path = `/v1/overview/live${rollout ? `?rollout=${encodeURIComponent(rollout)}` : ""}`;
    for await (const event of events(path, after, AbortSignal.any([patience.signal, ended]))) {
      hope();
      yield event;
    }
  } finally {
    clearTimeout(timer);
    patience.abort();
  }
}

function take(news) {
  batch(() => {
    hear(news.overview.asOf);
    overview.value = news.overview;
    if (news.whole || news.regions.length > 0) {
      const before = news.whole ? {} : regions.value;
      const changed = news.regions.map((region) => [region.region, region]);
      regions.value = { ...before, ...Object.fromEntries(changed) };
    }
    if (connection.value.state !== "live") connection.value = { state: "live" };
  });
}

const rested = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const comesBack = () =>
  new Promise((resolve) => {
    addEventListener("online", resolve, { once: true });
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && resolve(), { once: true });
  });

const signedIn = () =>
  new Promise((resolve) => {
    const unsubscribe = signIn.subscribe((form) => {
      if (form === null) {
        resolve();
        queueMicrotask(() => unsubscribe());
      }
    });
  });
