// How a VM, a rollout, a phase and a condition can be: the API's words, our words, a shape for each.
import { html } from "./html.js";

// In the order of the API's counts.
export const STATES = [
  { id: "waiting", api: "VM_PROGRESS_WAITING", word: "waiting", says: "for its turn, or for its night" },
  { id: "flight", api: "VM_PROGRESS_IN_FLIGHT", word: "in flight", says: "an order is under way" },
  { id: "soaking", api: "VM_PROGRESS_SOAKING", word: "soaking", says: "patched, and watched" },
  { id: "healthy", api: "VM_PROGRESS_HEALTHY", word: "healthy", says: "patched, and confirmed well" },
  { id: "failed", api: "VM_PROGRESS_FAILED", word: "failed", says: "patched, and not well; or not patched" },
  { id: "skipped", api: "VM_PROGRESS_SKIPPED", word: "skipped", says: "not to be patched by this rollout" },
  { id: "deferred", api: "VM_PROGRESS_DEFERRED", word: "deferred", says: "off or silent: next time" },
];

// What is looked for first in a cell: trouble, then what moves, then the rest.
const URGENCY = [4, 1, 2, 6, 0, 5, 3];

export function stateOf(progress) {
  return STATES.find((state) => state.api === progress);
}

export function mostUrgent(counts) {
  const place = URGENCY.find((state) => counts[state] > 0);
  return STATES[place ?? 0];
}

export function inWords(counts) {
  const parts = STATES.map((state, place) => counts[place] && `${number(counts[place])} ${state.word}`);
  return parts.filter(Boolean).join(", ") || "no machines";
}

export const sum = (counts) => counts.reduce((all, count) => all + count, 0);

export const machines = (count) => (count === 1 ? "1 machine" : `${number(count)} machines`);

export const number = (count) => count.toLocaleString("en-GB");

export function Shape({ id, label }) {
  const hidden = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  return html`<svg class="shape of-${id}" ...${hidden}><use href=${`#${id}`} /></svg>`;
}

export const ROLLOUT = {
  ROLLOUT_STATE_RUNNING: { word: "Running", tone: "flight", shape: "flight" },
  ROLLOUT_STATE_PAUSED: { word: "Paused", tone: "deferred", shape: "deferred" },
  ROLLOUT_STATE_HALTED: { word: "Halted", tone: "failed", shape: "closed" },
  ROLLOUT_STATE_CANCELLED: { word: "Cancelled", tone: "skipped", shape: "skipped" },
  ROLLOUT_STATE_COMPLETED: { word: "Completed", tone: "healthy", shape: "healthy" },
  ROLLOUT_STATE_EXPIRED: { word: "Expired", tone: "failed", shape: "waits" },
};

export const rolloutState = (state) => ROLLOUT[state] ?? { word: "Unknown", tone: "skipped", shape: "waiting" };

export const isOver = (state) =>
  ["ROLLOUT_STATE_CANCELLED", "ROLLOUT_STATE_COMPLETED", "ROLLOUT_STATE_EXPIRED"].includes(state);

export const PHASE = {
  PHASE_STATE_WAITING: { word: "waiting", shape: "waiting" },
  PHASE_STATE_RUNNING: { word: "running", shape: "flight" },
  PHASE_STATE_BAKING: { word: "baking", shape: "soaking" },
  PHASE_STATE_PASSED: { word: "passed", shape: "healthy" },
  PHASE_STATE_FAILED: { word: "failed", shape: "failed" },
};

export const phaseState = (state) => PHASE[state] ?? { word: "unknown", shape: "waiting" };

export const CONDITION = {
  CONDITION_STATE_MET: { id: "met", word: "met" },
  CONDITION_STATE_WAITS: { id: "waits", word: "waits" },
  CONDITION_STATE_CLOSED: { id: "closed", word: "needs a person" },
};

export const conditionState = (state) => CONDITION[state] ?? { id: "waits", word: "unknown" };
