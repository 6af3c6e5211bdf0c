// What people have installed on single machines, beside all rollouts: who asked for it, where it is, why it waits, until when.
import { html } from "./html.js";
import { number, rolloutState, Shape, stateOf } from "./states.js";
import { moment, since, until } from "./times.js";

/** More than these are folded in: what the rollout does is below. */
const FEW = 6;

/** Nothing if there are none. */
export function Installs({ overview: { installs, allInstalls } }) {
  if (allInstalls === 0) return null;
  const [first, rest] = [installs.slice(0, FEW), installs.slice(FEW)];
  return html`
    <section class="card installs" aria-labelledby="installs">
      <h2 id="installs">On demand</h2>
      <ul>${first.map(line)}</ul>
      ${rest.length > 0 && html`<details><summary>${number(rest.length)} more</summary><ul>${rest.map(line)}</ul></details>`}
      ${allInstalls > installs.length && html`<p class="quiet">These are the first ${number(installs.length)} of ${number(allInstalls)}.</p>`}
    </section>`;
}

/** Whether a machine is being touched by one of them; of those that are not named nobody here knows. */
export const areMoving = ({ installs, allInstalls }) =>
  allInstalls > installs.length || installs.some((install) => !waits(install));

const waits = (install) => install.progress === "VM_PROGRESS_WAITING";

const line = (install) => html`<${Install} key=${install.rollout} install=${install} />`;

function Install({ install }) {
  const state = stateOf(install.progress);
  const { vm, region, actor, why, notAfter } = install;
  return html`
    <li><p><span class="state of-${state.id}"><${Shape} id=${state.id} /> ${state.word}</span> <a href="#/vm/${vm}">${vm}</a> in ${region}${
      install.state !== "ROLLOUT_STATE_RUNNING" && html` · <b>${rolloutState(install.state).word}</b>`}
      <span class="quiet"> · asked for by ${actor.name}${actor.reason && ` (“${actor.reason}”)`}, ${since(install.requestedAt)}</span></p>
      ${why && html`<p>${waits(install) && html`<b>Waits:</b> `}${why}${install.until && html`, until ${moment(install.until)} (${until(install.until)})`}</p>`}
      ${waits(install) && html`<p class="quiet">It begins by <time dateTime=${notAfter}>${moment(notAfter)}</time> (${until(notAfter)}), or not at all.</p>`}</li>`;
}
