// Tonight: what is in flight, what waits for what, and where it is stopped.
import { Actions } from "./act.js";
import { html } from "./html.js";
import { areMoving, Installs } from "./installs.js";
import { connection, overview, regions } from "./live.js";
import { Phases } from "./phases.js";
import { inWords, isOver, machines, number, rolloutState, Shape, STATES, sum } from "./states.js";
import { moment, now, since, span, until } from "./times.js";
import { Windows } from "./windows.js";

export function Tonight() {
  const shown = overview.value;
  if (!shown) return html`<${Connecting} />`;
  if (!shown.rollout) return html`<${Nothing} overview=${shown} /><${Installs} overview=${shown} /><${Windows} regions=${regions.value} />`;
  return html`
    <${Banner} overview=${shown} />
    <${Legend} overview=${shown} />
    <${Installs} overview=${shown} />
    <${Phases} overview=${shown} regions=${regions.value} />
    <${Windows} regions=${regions.value} />
    <${Deeds} deeds=${shown.deeds} />`;
}

/** The first two seconds: one word, one sentence, one button. */
function Banner({ overview }) {
  const { word, tone, shape } = rolloutState(overview.state);
  const [, flight, soaking] = overview.counts;
  const moving = flight + soaking;
  return html`
    <section class="banner tone-${tone}" aria-labelledby="state">
      <div class="what">
        <p class="rollout">Rollout <b>${overview.rollout}</b> · asked for by ${overview.actor.name}
          ${overview.actor.reason && html` (“${overview.actor.reason}”)`}, ${since(overview.requestedAt)}</p>
        <h1 id="state"><${Shape} id=${shape} /> ${word}${where(overview)}</h1>
        <p class="now"><b>${number(flight)}</b> in flight and <b>${number(soaking)}</b> soaking
          ${moving === 0 && !areMoving(overview) && html` — nothing is being touched at this moment`}</p>
        <${Waits} overview=${overview} />
      </div>
      <${Actions} overview=${overview} />
      ${overview.evidence && html`<${Evidence} overview=${overview} />`}
    </section>`;
}

function where(overview) {
  if (overview.haltedPhase) {
    return ` in phase ${overview.haltedPhase}${overview.haltedRegion && `, ${overview.haltedRegion}`}`;
  }
  const open = overview.phases.find((phase) => phase.state !== "PHASE_STATE_PASSED");
  if (isOver(overview.state) || !open) return "";
  return `: phase ${open.number} of ${overview.phases.length}`;
}

/** What the rollout waits for, in a sentence, and until when. */
function Waits({ overview }) {
  if (overview.why) return html`<p class="waits"><b>Why:</b> ${overview.why}</p>`;
  if (isOver(overview.state)) {
    return html`<p class="waits">${overview.endedAt ? `It ended ${moment(overview.endedAt)}: ` : "It settles what is in flight: "}
      ${inWords(overview.counts)}. <a href="#/report/${overview.rollout}">Its report</a></p>`;
  }
  if (overview.state === "ROLLOUT_STATE_PAUSED") {
    const pause = overview.deeds.findLast((deed) => deed.what === "RolloutPaused");
    return html`<p class="waits"><b>Why:</b> ${pause?.actor.name} paused it${pause?.actor.reason && `: “${pause.actor.reason}”`}</p>`;
  }
  const open = overview.phases.find((phase) => phase.state !== "PHASE_STATE_PASSED");
  const condition = open?.gate.find((one) => one.state !== "CONDITION_STATE_MET");
  if (!condition) return null;
  const needed = condition.state === "CONDITION_STATE_CLOSED";
  return html`<p class="waits"><b>${needed ? "A person is needed" : "Waits"}:</b> ${condition.sentence}${condition.until &&
    html`, <time dateTime=${condition.until}>${until(condition.until)}</time>`}
    <span class="quiet"> · deadline ${until(overview.deadline)}</span></p>`;
}

function Evidence({ overview }) {
  const { failed, vms, signals, inCommon, comparison } = overview.evidence;
  return html`
    <div class="evidence">
      ${failed > 0 && html`<h2>${machines(failed)} failed</h2>
      <p>${vms.map((vm, place) => html`${place > 0 && ", "}<a href="#/vm/${vm}">${vm}</a>`)}${failed > vms.length && html`, and
        <a href="#/fleet?q=${encodeURIComponent(`state:failed region:${overview.haltedRegion || "*"}`)}">more</a>`}</p>`}
      ${signals.length > 0 && html`<h3>What was said of them</h3>
        <ul>${signals.map((said) => html`<li><b>${machines(said.vms)}</b>: ${said.what}</li>`)}</ul>`}
      ${inCommon.length > 0 && html`<h3>What they have in common</h3>
        <ul>${inCommon.map(({ patch, failed: ill, healthy }) => html`<li><code>${patch.name} ${patch.version}</code>:
          on ${ill} of them, and on ${healthy} that are well</li>`)}</ul>`}
      ${comparison && html`<p>${comparison.patchedIll} of ${comparison.patchedIll + comparison.patchedWell} patched machines fell ill, and
        ${comparison.controlIll} of ${comparison.controlIll + comparison.controlWell} that were not patched.</p>`}
    </div>`;
}

/** Every state with its shape and its number; each leads to its machines. */
function Legend({ overview }) {
  const all = sum(overview.counts);
  return html`
    <ul class="legend" aria-label=${`${number(all)} machines in this rollout`}>
      ${STATES.map((state, place) => html`
        <li class="of-${state.id} ${overview.counts[place] ? "" : "none"}">
          <a href="#/fleet?q=${encodeURIComponent(`state:${state.word.replace(" ", "-")}`)}" title=${state.says}>
            <${Shape} id=${state.id} /><b>${number(overview.counts[place])}</b><span>${state.word}</span></a></li>`)}
    </ul>`;
}

const DEEDS = {
  RolloutRequested: "started it",
  RolloutPaused: "paused it",
  RolloutResumed: "resumed it",
  RolloutRetried: "had the failed tried again",
  RegionSkipped: "took a region out",
  RolloutCancelled: "cancelled it",
  PhaseApproved: "approved a phase",
  PolicyChanged: "changed its policy",
};

export function Deeds({ deeds }) {
  return html`
    <section class="deeds"><h2>What people did</h2>
      <ol>${deeds.toReversed().map((deed) => html`<li><time dateTime=${deed.at}>${moment(deed.at)}</time>
        <b>${deed.actor.name}</b> ${DEEDS[deed.what] ?? deed.what}${deed.about && `: ${deed.about}`}${deed.actor.reason &&
        html` — “${deed.actor.reason}”`}</li>`)}</ol>
    </section>`;
}

function Nothing({ overview }) {
  const next = overview.next && html` The next one begins by itself ${until(overview.next)}, ${moment(overview.next)}.`;
  return html`
    <section class="banner tone-skipped" aria-labelledby="state">
      <div class="what">
        <h1 id="state">No rollout yet</h1>
        <p class="now">${overview.vms === 0
          ? html`The fleet is empty. Declare it: <code>nightshift fleet apply fleet.toml</code>`
          : html`${number(overview.vms)} machines are in the fleet, and ${overview.allInstalls > 0 ? "no rollout" : "nothing"} patches them.${next}`}</p>
      </div>
      ${overview.vms > 0 && html`<div class="actions"><a class="button primary" href="#/start">Start a rollout …</a></div>`}
    </section>`;
}

export function Connecting() {
  const { state, why } = connection.value;
  if (state !== "lost") return html`<p class="quiet" role="status">Asking the console …</p>`;
  return html`<section class="empty"><h1>No answer yet</h1><p>${why}</p>
    <p>Is <code>nightshift up</code>, or the console service, still running at this address?</p></section>`;
}

/** How old what is shown is, where it matters. */
export function Freshness() {
  const { state, since: lost } = connection.value;
  now();
  if (state === "lost") {
    return html`<span class="freshness lost" role="status"><${Shape} id="closed" /> Not live for ${span(Date.now() - lost)}: reconnecting …</span>`;
  }
  return html`<span class="freshness ${state}" role="status">${state === "live" ? "live" : "connecting …"}</span>`;
}
