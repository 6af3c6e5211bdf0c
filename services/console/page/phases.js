// The rollout as phases of regions, each region as cells.
import { html, useEffect, useState } from "./html.js";
import { conditionState, inWords, isOver, mostUrgent, number, phaseState, Shape, STATES, sum } from "./states.js";
import { moment, until } from "./times.js";

/** With more regions than this, only phases in which something happens are folded out. */
const MANY = 12;

export function Phases({ overview, regions }) {
  const many = Object.keys(regions).length > MANY;
  const over = isOver(overview.state);
  return html`<section class="phases" aria-label="Phases">
    ${overview.phases.map((phase) => html`<${Phase} key=${phase.number} phase=${phase} regions=${regions} rollout=${overview.rollout} many=${many} over=${over} />`)}
  </section>`;
}

const MOVING = ["PHASE_STATE_RUNNING", "PHASE_STATE_BAKING", "PHASE_STATE_FAILED"];

function Phase({ phase, regions, rollout, many, over }) {
  const { word, shape } = phaseState(phase.state);
  // What is done makes room for what moves; a person who folds it out, or in, is not contradicted before it changes.
  const wanted = MOVING.includes(phase.state) || (!many && (over || word === "waiting"));
  const [open, setOpen] = useState(wanted);
  useEffect(() => setOpen(wanted), [wanted]);
  return html`
    <details class="phase ${word}" open=${open} onToggle=${(event) => setOpen(event.currentTarget.open)}>
      <summary><h2><${Shape} id=${shape} /> Phase ${phase.number}: ${word}</h2>
        <${Bar} counts=${phase.counts} /><span class="counts">${inWords(phase.counts)}</span></summary>
      ${phase.state !== "PHASE_STATE_PASSED" && html`<${Conditions} conditions=${phase.gate} of=${`Gate of phase ${phase.number}`} />`}
      ${open && html`<div class="regions">${phase.regions.map((name) => regions[name] && card(regions[name], rollout))}</div>`}
    </details>`;
}

/** A gate: all that it waits for, and how far each is. */
export function Conditions({ conditions, of }) {
  if (conditions.length === 0) return null;
  return html`<div class="gate"><span class="of">${of}</span><ul>${conditions.map((condition) => {
    const { id, word } = conditionState(condition.state);
    return html`<li class="is-${id}"><${Shape} id=${id} label=${word} /> ${condition.sentence}${condition.until &&
      html` <time dateTime=${condition.until} title=${moment(condition.until)}>${until(condition.until)}</time>`}</li>`;
  })}</ul></div>`;
}

/** Cards of regions that did not change are not drawn again: the same object is the same card. */
const cards = new WeakMap();

function card(region, rollout) {
  if (!cards.has(region)) cards.set(region, html`<${Region} key=${region.region} region=${region} rollout=${rollout} />`);
  return cards.get(region);
}

function Region({ region }) {
  const shows = `${region.region}: ${inWords(region.counts)}${region.turn ? "; it has its turn" : ""}`;
  const query = encodeURIComponent(`region:${region.region}`);
  return html`
    <article class="region ${region.turn ? "turn" : ""} ${region.skippedBy ? "out" : ""}" aria-label=${shows}>
      <header><h3><a href="#/fleet?q=${query}">${region.region}</a></h3>
        <span class="note">${note(region)}</span></header>
      <div class="stages">${region.stages.map((stage) => html`
        <div class="stage ${stage.open ? "open" : ""} ${stage.ended ? "ended" : ""}">
          <span class="name">${short(stage.stage, region.region)}</span>
          <span class="cells">${stage.cells.map((cell) => html`<${Cell} cell=${cell} stage=${stage.stage} />`)}</span>
        </div>`)}</div>
      <p class="counts">${inWords(region.counts)}</p>
      ${region.gates.filter(isOfNote).map((gate) => html`<${Conditions} conditions=${gate.conditions} of=${gate.whole} />`)}
    </article>`;
}

const isOfNote = (gate) => gate.conditions.some((condition) => condition.state !== "CONDITION_STATE_MET");

function note(region) {
  if (region.skippedBy) return `taken out by ${region.skippedBy.name}`;
  if (region.turn) return region.round > 1 ? `has its turn, round ${region.round}` : "has its turn";
  if (region.round > 1) return `${region.round} rounds`;
  return region.round === 1 ? "had its turn" : "";
}

const short = (stage, region) => stage.replace(`zone ${region}-`, "zone ");

/** A step as a small tile: filled by how its machines stand, with the shape of what matters most. */
function Cell({ cell, stage }) {
  const state = mostUrgent(cell.counts);
  const name = cell.name === stage ? stage : cell.name.replace(`${stage}/`, "");
  const says = `${name}: ${inWords(cell.counts)}`;
  return html`<span class="cell of-${state.id} ${cell.started && !cell.ended ? "moving" : ""}" role="img" aria-label=${says} title=${says}
    style=${{ "--done": `${done(cell.counts)}%` }}><svg class="shape" aria-hidden="true"><use href=${`#${state.id}`} /></svg><b>${few(sum(cell.counts))}</b></span>`;
}

const few = (count) => (count < 1_000 ? count : `${Math.round(count / 1_000)}k`);

/** The share of machines with which the rollout is done. */
function done([waiting, flight, soaking, ...ended]) {
  const all = waiting + flight + soaking + sum(ended);
  return all === 0 ? 0 : Math.round((sum(ended) * 100) / all);
}

export function Bar({ counts }) {
  const all = sum(counts) || 1;
  return html`<span class="bar" aria-hidden="true">${STATES.map((state, place) => counts[place] > 0 &&
    html`<i class="of-${state.id}" style=${{ width: `${(counts[place] * 100) / all}%` }} title=${`${number(counts[place])} ${state.word}`}></i>`)}</span>`;
}
