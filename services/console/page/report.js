// A rollout for those who were not there: who, what versions, when, health, exceptions. It prints well.
import { download } from "./api.js";
import { html } from "./html.js";
import { Asking, Trouble, useAnswer } from "./load.js";
import { Table } from "./machine.js";
import { inWords, number, rolloutState, Shape, stateOf, sum } from "./states.js";
import { Others } from "./timeline.js";
import { moment, span } from "./times.js";
import { Deeds } from "./tonight.js";

export function Report({ id }) {
  const { data, error } = useAnswer(`/v1/report?rollout=${encodeURIComponent(id)}`, 15);
  if (error?.status === 404) return html`<section class="empty"><h1>Nothing to report</h1><p>${error.message}. A report begins with the first rollout.</p></section>`;
  if (error && !data) return html`<${Trouble} error=${error} what="The report" />`;
  if (!data) return html`<${Asking} what="the report" />`;
  const { overview } = data;
  const { word, tone, shape } = rolloutState(overview.state);
  const ended = overview.endedAt ?? overview.asOf;
  const file = (kind) => () => download(`/v1/report/machines.${kind}?rollout=${encodeURIComponent(overview.rollout)}`, `${overview.rollout}.${kind}`);
  return html`
    <h1>Report: rollout ${overview.rollout}</h1>
    <${Others} view="report" chosen=${overview.rollout} />
    <section class="card">
      <p class="lead"><b class="of-${tone}"><${Shape} id=${shape} /> ${word}</b> ${overview.why}</p>
      <dl class="facts">
        <div><dt>Asked for</dt><dd>${moment(overview.requestedAt)} by ${overview.actor.name}${overview.actor.reason && `: “${overview.actor.reason}”`}</dd></div>
        <div><dt>${overview.endedAt ? "Ended" : "As of"}</dt><dd>${moment(ended)}, after ${span(Date.parse(ended) - Date.parse(overview.requestedAt))}</dd></div>
        <div><dt>Machines</dt><dd>${number(sum(overview.counts))}: ${inWords(overview.counts)}</dd></div>
        <div><dt>Deadline</dt><dd>${moment(overview.deadline)}</dd></div>
      </dl>
      <div class="buttons noprint"><button onClick=${() => print()}>Print</button><button onClick=${file("csv")}>Every machine as CSV</button><button onClick=${file("json")}>as JSON</button>
        <a class="button" href="#/timeline/${overview.rollout}">Timeline</a><a class="button" href="#/audit">The auditor’s verdict</a></div>
    </section>
    <section class="card"><h2>Regions</h2><${Table} label="Regions" head=${["Phase", "Region", "Healthy", "Failed", "Skipped", "Deferred", "First order", "Last settled"]}
      rows=${data.regions.map((region) => [region.phase, region.region, ...["healthy", "failed", "skipped", "deferred"].map((which) => number(region.tally[which])),
        region.firstOrder ? moment(region.firstOrder) : "–", region.lastSettled ? moment(region.lastSettled) : "–"])} /></section>
    <section class="card"><h2>Versions</h2>${data.versions.length === 0 ? html`<p>Nothing was installed yet.</p>` : html`<${Table} label="Versions" head=${["Package", "Version", "On machines that are well", "On machines that are not, or not yet"]}
      rows=${data.versions.map((one) => [html`<code>${one.patch.name}</code>`, one.patch.version, number(one.healthy), number(one.failed)])} />`}</section>
    <section class="card"><h2>Exceptions</h2>${data.allExceptions === 0 ? html`<p>None: every machine that is done with is healthy.</p>` : html`
      <${Table} label="Exceptions" head=${["Machine", "Region", "State", "Why"]} rows=${data.exceptions.map((row) => {
        const state = stateOf(row.progress);
        return [html`<a href="#/vm/${row.vm}">${row.vm}</a>`, row.region, html`<span class="of-${state.id}"><${Shape} id=${state.id} /></span> ${state.word}`, row.why];
      })} />${data.allExceptions > data.exceptions.length && html`<p>And ${number(data.allExceptions - data.exceptions.length)} more: in the CSV.</p>`}`}</section>
    <${Deeds} deeds=${overview.deeds} />`;
}
