// Regions over nights, and any moment of them again.
import { html, useEffect, useId, useState } from "./html.js";
import { Asking, Trouble, useAnswer } from "./load.js";
import { overview } from "./live.js";
import { Phases } from "./phases.js";
import { inWords, rolloutState, Shape } from "./states.js";
import { clock, day, moment } from "./times.js";

const HOUR = 3_600_000;

export function Timeline({ id }) {
  const { data, error } = useAnswer(`/v1/timeline?rollout=${encodeURIComponent(id)}`, 5);
  const [at, setAt] = useState(null);
  // What is chosen below is looked at above: the moment after it, for the log is more precise than our milliseconds.
  const goTo = (moment) => {
    setAt(moment);
    document.querySelector(".nights").scrollIntoView({ block: "center" });
  };
  if (error?.status === 404) return html`<section class="empty"><h1>Nothing to look back at</h1><p>${error.message}. A timeline begins with the first rollout.</p></section>`;
  if (error && !data) return html`<${Trouble} error=${error} what="The timeline" />`;
  if (!data) return html`<${Asking} what="the timeline" />`;
  // The moment after it was asked for: before it, there was nothing to look at.
  const span = { from: Date.parse(data.from) + 1, to: Math.max(Date.parse(data.to), Date.parse(data.from) + HOUR) };
  return html`
    <h1>Timeline of ${data.rollout}</h1>
    <${Others} view="timeline" chosen=${data.rollout} />
    <section class="card"><${Nights} data=${data} span=${span} at=${at} />
      <${Scrub} span=${span} at=${at} setAt=${setAt} marks=${data.marks} /></section>
    ${at === null ? html`<p class="quiet">Move the slider, or choose a moment, to see everything as it was then.</p>` : html`<${Then} rollout=${data.rollout} at=${at} />`}
    <section class="card"><h2>What happened</h2><ol class="marks">${data.marks.map((mark) => html`
      <li class="mark-${mark.what}"><button class="small" onClick=${() => goTo(Date.parse(mark.at) + 1)}>${moment(mark.at)}</button> ${mark.sentence}</li>`)}</ol></section>`;
}

/** Other rollouts to look at. */
export function Others({ view, chosen }) {
  const all = overview.value?.rollouts ?? [];
  if (all.length < 2) return null;
  return html`<label class="others">Rollout <select value=${chosen} onChange=${(event) => location.assign(`#/${view}/${event.currentTarget.value}`)}>
    ${all.map((one) => html`<option value=${one.rollout}>${one.rollout} (${rolloutState(one.state).word.toLowerCase()})</option>`)}</select></label>`;
}

function Nights({ data, span, at }) {
  const place = (moment) => ((moment - span.from) * 100) / (span.to - span.from);
  const step = [3, 6, 12, 24, 48, 96, 168].find((hours) => (span.to - span.from) / (hours * HOUR) <= 12) ?? 336;
  const ticks = [];
  for (let tick = Math.ceil(span.from / (step * HOUR)) * step * HOUR; tick < span.to; tick += step * HOUR) ticks.push(tick);
  const most = Math.max(1, ...data.regions.flatMap((region) => region.slots.map((slot) => slot.healthy + slot.failed)));
  const regions = data.regions.toSorted((one, other) => one.phase - other.phase || one.region.localeCompare(other.region));
  return html`
    <div class="nights" role="img" aria-label=${regions.map(spoken).join(". ") || "no region had its turn yet"}>
      ${regions.map((region) => html`
        <div class="night"><span class="name">${region.region} <small>phase ${region.phase}</small></span><span class="track">
          ${region.turns.map((turn) => {
            const [from, to] = [Date.parse(turn.from), turn.to ? Date.parse(turn.to) : span.to];
            return html`<i class="held" title=${`turn ${turn.round}: ${moment(from)} to ${moment(to)}`} style=${{ left: `${place(from)}%`, width: `${place(to) - place(from)}%` }}></i>`;
          })}
          ${region.slots.map((slot) => {
            const hour = Date.parse(slot.hour);
            const of = (count) => `${(count * 100) / most}%`;
            return html`<span class="slot" title=${`${moment(hour)}: ${slot.ordered} ordered, ${slot.healthy} healthy, ${slot.failed} failed`}
              style=${{ left: `${place(hour)}%`, width: `max(3px, ${place(hour + HOUR) - place(hour)}%)` }}><i class="bad" style=${{ height: of(slot.failed) }}></i><i class="good" style=${{ height: of(slot.healthy) }}></i></span>`;
          })}
          ${at !== null && html`<b style=${{ left: `${place(at)}%` }}></b>`}</span></div>`)}
      <div class="night axis"><span class="name"></span><span class="track">${ticks.map((tick) => html`<i style=${{ left: `${place(tick)}%` }}>${step >= 24 || clock(tick) === "00:00" ? day(tick) : clock(tick)}</i>`)}</span></div>
    </div>
    <p class="quiet"><span class="key held"></span> has its turn <span class="key good"></span> settled healthy <span class="key bad"></span> settled failed, by the hour (UTC)</p>`;
}

function spoken(region) {
  const [healthy, failed] = ["healthy", "failed"].map((which) => region.slots.reduce((sum, slot) => sum + slot[which], 0));
  return `${region.region}, phase ${region.phase}: ${healthy} healthy, ${failed} failed, ${region.turns.length} turns`;
}

function Scrub({ span, at, setAt, marks }) {
  const slider = useId();
  const shown = at ?? span.to;
  const jump = (direction) => () => {
    const moments = marks.map((mark) => Date.parse(mark.at));
    const next = direction > 0 ? moments.find((one) => one > shown) : moments.findLast((one) => one < shown);
    setAt(next ?? (direction > 0 ? span.to : span.from));
  };
  return html`<div class="scrub"><label for=${slider}>The moment</label>
    <button class="small" onClick=${jump(-1)} aria-label="To what happened before">◂</button>
    <input id=${slider} type="range" min=${span.from} max=${span.to} step="60000" value=${shown} aria-valuetext=${moment(shown)}
      onInput=${(event) => setAt(Number(event.currentTarget.value))} />
    <button class="small" onClick=${jump(1)} aria-label="To what happened next">▸</button>
    <output for=${slider}>${moment(shown)}</output>
    ${at !== null && html`<button class="small" onClick=${() => setAt(null)}>Now</button>`}</div>`;
}

/** Everything as it was at a moment, folded from the log anew. */
function Then({ rollout, at }) {
  const [asked, setAsked] = useState(at);
  useEffect(() => {
    const timer = setTimeout(() => setAsked(at), 120);
    return () => clearTimeout(timer);
  }, [at]);
  const { data, error } = useAnswer(`/v1/overview?rollout=${encodeURIComponent(rollout)}&at=${new Date(asked).toISOString()}`);
  if (error?.status === 404) return html`<p class="quiet">At that moment the rollout was not there yet.</p>`;
  if (error && !data) return html`<${Trouble} error=${error} what="That moment" />`;
  if (!data) return html`<${Asking} what="that moment" />`;
  const { word, shape, tone } = rolloutState(data.overview.state);
  const regions = Object.fromEntries(data.regions.map((region) => [region.region, region]));
  return html`<section class="then" aria-live="polite"><h2><span class="of-${tone}"><${Shape} id=${shape} /></span> ${moment(asked)}: ${word.toLowerCase()}, ${inWords(data.overview.counts)}</h2>
    ${data.overview.why && html`<p>${data.overview.why}</p>`}</section>
    <${Phases} overview=${data.overview} regions=${regions} />`;
}
