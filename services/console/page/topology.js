// Regions, their pairs, zones and sets: what Nightshift believes of the world.
import { html } from "./html.js";
import { regions as live } from "./live.js";
import { Asking, Trouble, useAnswer } from "./load.js";
import { Table } from "./machine.js";
import { number } from "./states.js";
import { Windows } from "./windows.js";

export function Regions() {
  const { data, error } = useAnswer("/v1/topology", 30);
  if (error && !data) return html`<${Trouble} error=${error} what="The topology" />`;
  if (!data) return html`<${Asking} what="the topology" />`;
  if (data.regions.length === 0) {
    return html`<section class="empty"><h1>No region is declared</h1><p>Say what there is in a fleet file: <code>nightshift fleet apply fleet.toml</code>.</p></section>`;
  }
  const known = Object.fromEntries(data.topology.regions.map((region) => [region.name, region]));
  const rows = data.regions.map((region) => {
    const { timeZone, pair } = known[region.region] ?? {};
    return [
      html`<a href="#/fleet?q=region:${region.region}">${region.region}</a>`,
      timeZone ?? "",
      pair ?? pairOf(region.region, data.topology.regions),
      number(region.vms),
      number(region.eligible),
      region.zones.map((zone) => `${zone.name} (${number(zone.vms)})`).join(", "),
      sets(region.availabilitySets),
      number(region.standalone),
    ];
  });
  return html`
    <h1>Regions</h1>
    <section class="card"><p class="quiet">Two regions of a pair are never patched at the same time; nor two zones of a region, nor two update domains of a set.
      Off-peak hours without others: ${data.topology.window.start}–${data.topology.window.end}, in each machine’s own time zone.</p>
      <${Table} label="Regions" head=${["Region", "Time zone", "Pair", "Machines", "Patched by rollouts", "Zones", "Availability sets", "In neither"]} rows=${rows} /></section>
    <${Windows} regions=${live.value} />
    ${data.topology.images.length > 0 && html`<section class="card"><h2>Images that can be patched beside the known ones</h2>
      <ul>${data.topology.images.map((image) => html`<li><code>${image.publisher}:${image.offer}:${image.sku}</code></li>`)}</ul></section>`}`;
}

/** A pair may be declared in one direction only. */
const pairOf = (name, all) => all.find((region) => region.pair === name)?.name ?? "–";

function sets(all) {
  if (all.length > 4) return `${number(all.length)} sets, ${number(all.reduce((sum, set) => sum + set.vms, 0))} machines`;
  return all.map((set) => `${set.name} (${number(set.vms)} in ${set.updateDomains} update domains)`).join(", ");
}
