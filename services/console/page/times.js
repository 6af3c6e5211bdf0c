// Moments and spans in words. All moments are the fleet's: in a demo its clock runs fast.
import { signal } from "./html.js";

/** The fleet's clock as last heard, when that was by ours, and how fast it runs. */
const heard = signal({ fleet: Date.now(), ours: Date.now(), rate: 1 });
/** Rises every second, so that what shows a time is drawn again. */
export const tick = signal(0);

export function hear(asOf) {
  const [fleet, ours, before] = [Date.parse(asOf), Date.now(), heard.value];
  const passed = ours - before.ours;
  // Over short spans the ratio is mostly noise.
  const rate = before.first || passed < 500 ? before.rate : Math.max(0, (fleet - before.fleet) / passed);
  const isUsual = Math.abs(rate - 1) < 0.5 || before.first === undefined;
  heard.value = { fleet, ours, rate: isUsual ? 1 : rate, first: before.first === undefined };
}

export function now() {
  tick.value;
  const { fleet, ours, rate } = heard.value;
  // Ahead of what was heard by two seconds of ours at most: then the connection is gone, and so is our knowledge.
  return fleet + Math.min(Date.now() - ours, 2_000) * rate;
}

setInterval(() => {
  tick.value += 1;
}, 1_000);

const DAY = { weekday: "short", day: "numeric", month: "short" };
const HOUR = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

export const clock = (at, timeZone = "UTC") => new Intl.DateTimeFormat("en-GB", { ...HOUR, timeZone }).format(at);
export const day = (at, timeZone = "UTC") => new Intl.DateTimeFormat("en-GB", { ...DAY, timeZone }).format(at);

/** "Tue 13 Jan, 22:40 UTC" */
export function moment(at) {
  const date = new Date(at);
  return `${day(date)}, ${clock(date)} UTC`;
}

export function exact(at) {
  return new Date(at).toISOString().replace("T", " ").replace(/\.\d+Z$/, " UTC");
}

/** "2 h 5 min", "40 s", "3 days" */
export function span(milliseconds) {
  const seconds = Math.round(Math.abs(milliseconds) / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 && hours < 10 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.round(hours / 24)} days`;
}

export function until(at) {
  const left = Date.parse(at) - now();
  return left > 0 ? `in ${span(left)}` : "any moment";
}

export function since(at) {
  return `${span(now() - Date.parse(at))} ago`;
}
