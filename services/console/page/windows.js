// Time zones and tonight's windows: which regions may be touched now, and when the others may.
import { html } from "./html.js";
import { clock, moment, now, span } from "./times.js";

const HOUR = 3_600_000;
/** What is shown: from a little before now to the next nights. */
const [BEFORE, AFTER] = [3 * HOUR, 27 * HOUR];

export function Windows({ regions }) {
  const at = now();
  const all = Object.values(regions).sort((one, other) => one.opensAt?.localeCompare(other.opensAt) || 0);
  if (all.length === 0) return null;
  const [from, to] = [at - BEFORE, at + AFTER];
  const place = (moment) => Math.min(100, Math.max(0, ((moment - from) * 100) / (to - from)));
  const hours = Array.from({ length: 10 }, (_, step) => Math.ceil(from / (3 * HOUR)) * 3 * HOUR + step * 3 * HOUR);
  return html`
    <section class="windows" aria-labelledby="windows">
      <h2 id="windows">Tonight’s windows</h2>
      <p class="quiet">The fleet’s clock: ${moment(at)}. Machines may have windows of their own.</p>
      <div class="map">
        <div class="hours" aria-hidden="true">${hours.map((hour) => html`<i style=${{ left: `${place(hour)}%` }}>${clock(hour)}</i>`)}
          <b style=${{ left: `${place(at)}%` }}>now</b></div>
        ${all.map((region) => html`<${Row} key=${region.region} region=${region} at=${at} place=${place} />`)}
      </div>
    </section>`;
}

function Row({ region, at, place }) {
  const [opens, closes] = [Date.parse(region.opensAt), Date.parse(region.closesAt)];
  const open = opens <= at && at < closes;
  const says = open ? `open for ${span(closes - at)} more` : `opens in ${span(opens - at)}`;
  const next = [opens, closes].map((moment) => moment + 24 * HOUR);
  const night = ([from, to]) => ({ left: `${place(from)}%`, width: `${place(to) - place(from)}%` });
  return html`
    <div class="row ${open ? "open" : ""} ${region.turn ? "turn" : ""}">
      <span class="name">${region.region}</span>
      <span class="local">${clock(at, region.timeZone)}</span>
      <span class="track" role="img" aria-label=${`${region.window.start} to ${region.window.end} ${region.timeZone}: ${says}`}
        title=${`${region.window.start}–${region.window.end} ${region.timeZone}`}>
        <i style=${night([opens, closes])}></i><i class="later" style=${night(next)}></i><b style=${{ left: `${place(at)}%` }}></b></span>
      <span class="says">${says}</span>
    </div>`;
}
