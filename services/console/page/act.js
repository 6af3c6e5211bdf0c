// What a person may wish of a rollout. Each wish asks why, says what it will touch, and is in the log under a name.
import { post, Refused } from "./api.js";
import { html, signal, useEffect, useId, useRef, useState } from "./html.js";
import { regions } from "./live.js";
import { inWords, isOver, number, sum } from "./states.js";

/** The wish that a dialog asks about; null while there is none. */
const asked = signal(null);

const path = (overview, verb) => `/v1/rollouts/${encodeURIComponent(overview.rollout)}/${verb}`;

const moving = ({ counts }) => counts[1] + counts[2];

const WISHES = {
  pause: {
    word: "Pause",
    title: "Pause the rollout",
    touches: (overview) => `No new order from now on, in any region. ${number(moving(overview))} machines that are in flight or soaking settle first; nothing is cut off. It stays so until somebody resumes it.`,
  },
  resume: {
    word: "Resume",
    title: "Resume the rollout",
    touches: (overview) => overview.state === "ROLLOUT_STATE_HALTED"
      ? `The ${number(overview.evidence?.failed ?? 0)} failures so far are accepted, and orders go on: ${number(overview.counts[0])} machines wait. New failures count anew.`
      : `Orders go on: ${number(overview.counts[0])} machines wait for their turn.`,
  },
  retry: {
    word: "Retry the failed",
    title: "Try the failed again",
    touches: (overview) => `${number(overview.counts[4])} machines that failed are tried again, at once; a halted rollout goes on with that. Who fails again counts anew.`,
  },
  approve: {
    word: "Approve",
    title: "Approve the phase",
    touches: (overview, phase) => `Phase ${phase.number} may start: ${phase.regions.join(", ")}, with ${number(sum(phase.counts))} machines.`,
    body: (phase) => ({ phase: phase.number }),
  },
  "skip-region": {
    word: "Skip a region",
    title: "Take a region out",
    touches: (overview, _, region) => region
      ? `${region.region} is taken out of this rollout: ${inWords(region.counts)}. What is in flight there settles; its phase does not count it. A halted rollout stays halted until it is resumed.`
      : "Choose a region.",
    picks: true,
    body: (_, region) => ({ region: region.region }),
  },
  cancel: {
    word: "Cancel",
    title: "End the rollout for good",
    touches: (overview) => `It ends, for good. ${number(moving(overview))} machines that are in flight or soaking settle first; ${number(overview.counts[0])} that wait are not patched by it.`,
  },
};

export function Actions({ overview }) {
  const state = overview.state;
  const [halted, paused, running] = ["HALTED", "PAUSED", "RUNNING"].map((one) => state === `ROLLOUT_STATE_${one}`);
  const phase = overview.phases.find((one) => one.approvalNeeded);
  const ask = (kind, of) => () => {
    asked.value = { kind, overview, phase: of };
  };
  if (isOver(state)) {
    return html`<div class="actions"><a class="button primary" href="#/start">Start a rollout …</a></div>`;
  }
  return html`
    <div class="actions" role="group" aria-label="What you can do">
      ${running && html`<button class="stop" onClick=${ask("pause")}><svg class="shape" aria-hidden="true"><use href="#stop" /></svg> Stop: pause it</button>`}
      ${(halted || paused) && html`<button class="primary" onClick=${ask("resume")}>Resume …</button>`}
      ${phase && html`<button class="primary" onClick=${ask("approve", phase)}>Approve phase ${phase.number} …</button>`}
      ${overview.counts[4] > 0 && html`<button onClick=${ask("retry")}>Retry the failed …</button>`}
      <button onClick=${ask("skip-region")}>Skip a region …</button>
      <button class="danger" onClick=${ask("cancel")}>Cancel …</button>
    </div>`;
}

/** The dialog, wherever the button was. */
export function Wish() {
  return asked.value && html`<${Dialog} key=${asked.value.kind} ...${asked.value} />`;
}

function Dialog({ kind, overview, phase }) {
  const wish = WISHES[kind];
  const dialog = useRef(null);
  const [reason, setReason] = useState("");
  const [name, setName] = useState(overview.haltedRegion);
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(false);
  const [title, touches, why] = [useId(), useId(), useId()];
  useEffect(() => dialog.current.showModal(), []);
  const region = wish.picks ? regions.value[name] : undefined;
  const close = () => {
    asked.value = null;
  };
  const send = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await post(path(overview, kind), { reason, ...wish.body?.(phase, region) });
      dialog.current.close();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setTrouble(error.message);
      setBusy(false);
    }
  };
  const candidates = Object.values(regions.value).filter((one) => one.phase > 0 && !one.skippedBy);
  return html`
    <dialog ref=${dialog} aria-labelledby=${title} aria-describedby=${touches} onClose=${close}>
      <form method="dialog" onSubmit=${send}>
        <h2 id=${title}>${wish.title}${phase ? ` ${phase.number}` : ""}</h2>
        ${wish.picks && html`<label>Region <select required value=${name} onChange=${(event) => setName(event.currentTarget.value)}>
          <option value="">…</option>${candidates.map((one) => html`<option value=${one.region}>${one.region} (phase ${one.phase})</option>`)}</select></label>`}
        <p id=${touches}>${wish.touches(overview, phase, region)}</p>
        <label for=${why}>Why? It goes into the log beside your name.</label>
        <textarea id=${why} required rows="2" maxlength="500" value=${reason} onInput=${(event) => setReason(event.currentTarget.value)}></textarea>
        ${trouble && html`<p class="trouble" role="alert">${trouble}</p>`}
        <div class="buttons">
          <button type="button" onClick=${() => dialog.current.close()}>Do nothing</button>
          <button class=${kind === "cancel" || kind === "skip-region" ? "danger" : "primary"} disabled=${busy}>${wish.word}</button>
        </div>
      </form>
    </dialog>`;
}
