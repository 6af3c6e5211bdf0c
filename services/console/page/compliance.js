// The 30-day promise: kept, at risk, broken; and to whom.
import { html } from "./html.js";
import { Asking, Trouble, useAnswer } from "./load.js";
import { Table } from "./machine.js";
import { number, Shape } from "./states.js";
import { moment, since, until } from "./times.js";

export function Compliance() {
  const { data, error } = useAnswer("/v1/compliance", 15);
  if (error && !data) return html`<${Trouble} error=${error} what="The promise" />`;
  if (!data) return html`<${Asking} what="every machine’s last patch" />`;
  const { kept, atRisk, broken } = data.fleet;
  const all = kept + atRisk + broken;
  if (all === 0) return html`<section class="empty"><h1>Nobody was promised anything</h1><p>No machine of the fleet is patched by rollouts: <a href="#/fleet?q=eligible:no">each says why</a>.</p></section>`;
  const percent = Math.floor((kept * 1_000) / all) / 10;
  return html`
    <h1>${data.days} days</h1>
    <section class="card">
      <p class="lead"><b class=${broken > 0 ? "of-failed" : atRisk > 0 ? "of-deferred" : "of-healthy"}><${Shape} id=${broken > 0 ? "failed" : atRisk > 0 ? "waits" : "healthy"} /> ${percent} %</b>
        of ${number(all)} machines are within the promise: patched, and found well, once in every ${data.days} days.</p>
      <p>${number(kept)} kept · <a href="#/fleet?q=promise:at-risk">${number(atRisk)} at risk</a> (within a week) · <a href="#/fleet?q=promise:broken">${number(broken)} broken</a></p>
      <p class="quiet">Counted from a machine’s last patch that was confirmed, or from when it entered the fleet or its mode. As of ${moment(data.asOf)}.</p>
    </section>
    <section class="card"><h2>By region</h2><${Table} label="By region" head=${["Region", "Kept", "At risk", "Broken"]}
      rows=${data.regions.map((region) => [html`<a href="#/fleet?q=region:${region.region}">${region.region}</a>`, number(region.kept.kept), number(region.kept.atRisk), number(region.kept.broken)])} /></section>
    ${data.late.length > 0 && html`<section class="card"><h2>To whom it is not, or soon not, kept</h2><${Table} label="Late machines" head=${["Machine", "Region", "Last patched", "Due", "Why it waits"]}
      rows=${data.late.map((late) => [html`<a href="#/vm/${late.vm}">${late.vm}</a>`, late.region, late.patchedAt ? since(late.patchedAt) : "never", Date.parse(late.due) > Date.parse(data.asOf) ? until(late.due) : `${since(late.due)}`, late.why])} /></section>`}`;
}
