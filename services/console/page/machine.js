// One machine: its patch status, why it waits, its health over time with the patch marked, its history.
import { modeOf, place } from "./fleet.js";
import { html } from "./html.js";
import { Asking, Trouble, useAnswer } from "./load.js";
import { Shape, stateOf } from "./states.js";
import { exact, moment, now, since, until } from "./times.js";

export function Machine({ id }) {
  const path = `/v1/vms/${encodeURIComponent(id)}`;
  const { data: view, error } = useAnswer(path, 3);
  const { data: explained } = useAnswer(`${path}/explain`, 3);
  const { data: history } = useAnswer(`${path}/history`, 10);
  const { data: signals } = useAnswer(`${path}/signals`, 5);
  const { data: health } = useAnswer(`${path}/health`, 5);
  if (error && !view) return html`<${Trouble} error=${error} what=${`The machine ${id}`} />`;
  if (!view) return html`<${Asking} what=${id} />`;
  const state = stateOf(view.progress);
  return html`
    <section class="card machine">
      <h1><span class="of-${state?.id ?? "skipped"}"><${Shape} id=${state?.id ?? "skipped"} /></span> ${view.vm.id}</h1>
      <p class="lead">${state ? html`<b class="of-${state.id}">${state.word}</b> in <a href="#/rollout/${view.rollout}">${view.rollout}</a>` : "in no rollout yet"}${view.why && `: ${view.why}`}</p>
      ${explained && html`<${Why} reasons=${explained.reasons} />`}
      <${Facts} view=${view} />
    </section>
    <${Health} signals=${signals} health=${health} history=${history} />
    <${Patches} view=${view} />
    <${History} history=${history} />`;
}

/** The last reason decides; the others say how it came to that. */
function Why({ reasons }) {
  const last = reasons.at(-1);
  if (!last) return null;
  return html`<div class="why"><p><b>Why it is where it is:</b> ${last.sentence}${last.until && html`, until ${moment(last.until)} (${until(last.until)})`}</p>
    ${reasons.length > 1 && html`<ol>${reasons.slice(0, -1).map((reason) => html`<li>${reason.sentence}</li>`)}</ol>`}</div>`;
}

function Facts({ view }) {
  const { vm, agent } = view;
  const facts = [
    ["Region", html`<a href="#/fleet?q=region:${vm.region}">${vm.region}</a> ${place(vm.placement)}`],
    ["Subscription", `${vm.subscription}${vm.resourceGroup && `, group ${vm.resourceGroup}`}`],
    ["Image", `${vm.image.publisher}:${vm.image.offer}:${vm.image.sku} (${vm.os === "OS_WINDOWS" ? "Windows" : "Linux"})`],
    ["Mode", modeOf(vm.patchMode)],
    ["Window", view.window],
    ["Agent", agent ? `${agent.agentVersion} on ${agent.os}, ${agent.backEnd}` : "never connected"],
    ["Native updates", view.enabled ? "off: Nightshift patches it" : "not turned off yet"],
    ["Assessed", view.assessedAt ? `${since(view.assessedAt)}` : "not yet"],
  ];
  if (view.ineligible) facts.unshift(["Left alone", view.ineligible]);
  if (view.assessmentError) facts.push(["Last assessment", `failed ${since(view.assessmentFailedAt)}: ${view.assessmentError}`]);
  return html`<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    ${view.requirements.length > 0 && html`<h2>What it needs to be patched</h2><ul class="needs">${view.requirements.map((need) => html`
      <li class=${need.state === "REQUIREMENT_STATE_MET" ? "is-met" : "is-closed"}><${Shape} id=${need.state === "REQUIREMENT_STATE_MET" ? "met" : "closed"} /> <span>${need.sentence}</span></li>`)}</ul>`}`;
}

const MARKED = { OrderPlaced: "ordered", OrderFinished: "patched", HealthConfirmed: "confirmed", HealthFailed: "ill", HealthUnknown: "unknown", VmSettled: "settled" };

function Health({ signals, health, history }) {
  if (!signals) return html`<${Asking} what="its signals" />`;
  const marks = (history?.entries ?? []).filter((entry) => entry.what in MARKED);
  const from = Math.min(Date.parse(signals.since), ...signals.spans.map((span) => Date.parse(span.from)));
  const to = Math.max(now(), from + 60_000);
  const left = (at) => Math.min(100, Math.max(0, ((Date.parse(at) - from) * 100) / (to - from)));
  const sources = [...new Set(signals.spans.map((span) => span.source))];
  const ill = (health?.sources ?? []).filter((source) => source.ailment);
  return html`
    <section class="card"><h2>Health</h2>
      <p>${ill.length > 0 ? html`<b class="of-failed">Ill:</b> ${ill.map((source) => `${source.source}: ${source.ailment}`).join("; ")}`
        : health?.lastSignal ? html`<b class="of-healthy">Well</b>, last heard ${since(health.lastSignal)}` : html`<b>Not heard</b> since the monitor started`}${
        health?.watch && html` · watched for ${health.watch.rollout}: ${health.watch.state}`}</p>
      ${health?.verdict && html`<p class="quiet">Verdict ${moment(health.verdict.at)}: ${health.verdict.what} ${health.verdict.why}</p>`}
      ${sources.length === 0 ? html`<p class="quiet">No signal was heard since ${moment(signals.since)}, when this console began to listen.</p>` : html`
      <div class="strips" role="img" aria-label=${signals.spans.map(spoken).join(". ")}>
        ${sources.map((source) => html`<div class="strip"><span>${source}</span><span class="track">${signals.spans.filter((span) => span.source === source).map((span) => html`
          <i class=${span.ailment ? "ill" : "well"} title=${spoken(span)} style=${{ left: `${left(span.from)}%`, width: `max(3px, ${left(span.to) - left(span.from)}%)` }}></i>`)}
          ${marks.map((mark) => html`<b class="mark ${MARKED[mark.what]}" title=${`${MARKED[mark.what]} ${moment(mark.at)}`} style=${{ left: `${left(mark.at)}%` }}></b>`)}</span></div>`)}
        <div class="strip axis"><span></span><span class="ends"><time>${moment(from)}</time><time>${moment(to)}</time></span></div>
      </div>
      <p class="quiet"><span class="key well"></span> well <span class="key ill"></span> ill <span class="key none"></span> not heard <span class="key marked"></span> ordered, patched, verdict. Signals are heard, not kept: these are from ${moment(signals.since)} on.</p>`}
    </section>`;
}

const spoken = (span) => `${span.source} ${span.ailment ? `ill (${span.ailment})` : "well"} from ${moment(span.from)} to ${moment(span.to)}, ${span.signals} signals`;

const CLASSES = { CLASSIFICATION_CRITICAL: "Critical", CLASSIFICATION_SECURITY: "Security", CLASSIFICATION_OTHER: "Other" };
const PATCHED = { PATCH_STATE_INSTALLED: ["healthy", "installed"], PATCH_STATE_FAILED: ["failed", "failed"], PATCH_STATE_PENDING: ["waits", "pending"], PATCH_STATE_NOT_SELECTED: ["skipped", "not selected"], PATCH_STATE_EXCLUDED: ["skipped", "excluded"] };

function Patches({ view }) {
  const missing = view.assessment?.patches ?? [];
  const done = view.lastInstallation?.patches ?? [];
  return html`
    <section class="card"><h2>Pending patches</h2>
      ${!view.assessment ? html`<p>It was not assessed yet. <code>nightshift vm assess ${view.vm.id}</code> has that done now.</p>`
        : missing.length === 0 ? html`<p>None: it lacked nothing ${since(view.assessedAt)}.</p>` : html`<${Table} head=${["Package", "Version", "Class", "Stands against it"]}
        rows=${missing.map((patch) => [html`<code>${patch.name}</code>`, patch.version, CLASSES[patch.classification], patch.obstacle ?? ""])} />`}
      ${done.length > 0 && html`<h2>Its last order, ${moment(view.lastInstallationAt)}</h2><${Table} head=${["Package", "Version", "Class", "Came to"]}
        rows=${done.map((patch) => {
          const [shape, word] = PATCHED[patch.state] ?? ["skipped", patch.state];
          return [html`<code>${patch.name}</code>`, patch.version, CLASSES[patch.classification], html`<span class="of-${shape}"><${Shape} id=${shape} /></span> ${word} ${patch.detail}`];
        })} />`}
    </section>`;
}

export function Table({ head, rows, label }) {
  return html`<div class="scroll"><table aria-label=${label}><thead><tr>${head.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr>${row.map((field) => html`<td>${field}</td>`)}</tr>`)}</tbody></table></div>`;
}

function History({ history }) {
  if (!history) return html`<${Asking} what="its history" />`;
  return html`<section class="card"><h2>History</h2><ol class="history">${history.entries.toReversed().map((entry) => html`
    <li><time dateTime=${entry.at} title=${exact(entry.at)}>${moment(entry.at)}</time> ${entry.sentence}
      <span class="quiet">${entry.what}, ${entry.partition} #${entry.position}</span></li>`)}</ol></section>`;
}
