// The fleet: search and filter by any attribute, on the console's side, a page at a time.
import { html, useEffect, useId, useState } from "./html.js";
import { overview } from "./live.js";
import { Asking, Trouble, useAnswer } from "./load.js";
import { number, Shape, stateOf } from "./states.js";

const ROWS = 50;
const PAUSE = 80;

const FINDS = [
  ["Failed", "state:failed"],
  ["In flight", "state:in-flight,soaking"],
  ["Deferred", "state:deferred"],
  ["At risk of missing 30 days", "promise:at-risk,broken"],
  ["Left alone", "eligible:no"],
  ["Patches pending", "pending:yes"],
  ["Without an agent", "agent:no"],
  ["Windows", "os:windows"],
];

export function Fleet({ query }) {
  const wanted = query.get("q") ?? "";
  const [text, setText] = useState(wanted);
  const [pages, setPages] = useState([""]);
  const [field, help] = [useId(), useId()];
  useEffect(() => {
    setText(wanted);
    setPages([""]);
  }, [wanted]);
  useEffect(() => {
    if (text === wanted) return undefined;
    const timer = setTimeout(() => location.replace(`#/fleet?q=${encodeURIComponent(text)}`), PAUSE);
    return () => clearTimeout(timer);
  }, [text]);
  const token = pages.at(-1);
  const path = `/v1/vms?page_size=${ROWS}&page_token=${encodeURIComponent(token)}&filter=${encodeURIComponent(wanted)}`;
  const { data, error, stale } = useAnswer(path, 5);
  const first = (pages.length - 1) * ROWS;
  return html`
    <h1>Fleet</h1>
    <search class="find">
      <label for=${field}>Find machines</label>
      <input id=${field} type="search" value=${text} aria-describedby=${help} spellcheck="false" placeholder="a part of a name, or key:value …"
        onInput=${(event) => setText(event.currentTarget.value)} />
      <div class="chips">${FINDS.map(([word, filter]) => html`<a class="chip" href="#/fleet?q=${encodeURIComponent(filter)}" aria-current=${filter === wanted ? "true" : undefined}>${word}</a>`)}</div>
      <details class="quiet"><summary id=${help}>Words that all have to fit; keys narrow it down</summary>
        <p><code>region:west-*</code> <code>zone:</code> <code>set:</code> <code>ud:0,1</code> <code>subscription:</code> <code>group:</code>
          <code>os:</code> <code>image:canonical*</code> <code>mode:</code> <code>assessment:</code> <code>timezone:asia/*</code>
          <code>state:failed,deferred</code> <code>eligible:no</code> <code>agent:no</code> <code>pending:yes</code> <code>promise:at-risk</code></p></details>
    </search>
    ${error && error.status !== 400 && !data && html`<${Trouble} error=${error} what="The fleet" />`}
    ${error?.status === 400 && html`<p class="trouble" role="alert">${error.message}</p>`}
    ${!data && !error && html`<${Asking} what="machines" />`}
    ${data && html`<section class="card">
      <p role="status" class="found"><b>${number(data.total)}</b> of ${number(overview.value?.vms ?? data.total)} machines</p>
      ${data.vms.length === 0
        ? html`<p>No machine fits. Take a word away, or <a href="#/fleet">look at all of them</a>.</p>`
        : html`<div class="scroll" aria-busy=${stale}><table class="machines">
            <thead><tr><th>Machine</th><th>State</th><th>Region, place</th><th>Mode</th><th>Window</th><th>Why, or what is pending</th></tr></thead>
            <tbody>${data.vms.map((view) => html`<${Row} key=${view.vm.id} view=${view} />`)}</tbody></table></div>`}
      ${data.total > ROWS && html`<nav class="pages" aria-label="Pages">
        <button disabled=${pages.length === 1} onClick=${() => setPages(pages.slice(0, -1))}>Back</button>
        <span>${number(first + 1)}–${number(first + data.vms.length)}</span>
        <button disabled=${!data.nextPageToken} onClick=${() => setPages([...pages, data.nextPageToken])}>On</button></nav>`}
    </section>`}`;
}

function Row({ view }) {
  const state = stateOf(view.progress);
  return html`<tr>
    <td><a href="#/vm/${view.vm.id}">${view.vm.id}</a></td>
    <td class="state of-${state?.id ?? "skipped"}">${state ? html`<${Shape} id=${state.id} /> ${state.word}` : view.ineligible ? "left alone" : "–"}</td>
    <td>${view.vm.region} <span class="quiet">${place(view.vm.placement)}</span></td>
    <td>${modeOf(view.vm.patchMode)}</td>
    <td class="quiet">${view.window.split(" (")[0]}</td>
    <td>${view.why || view.ineligible || pending(view)}</td></tr>`;
}

export function place(placement) {
  if (placement?.zone) return `zone ${placement.zone}`;
  if (placement?.availabilitySet) return `${placement.availabilitySet.set}, update domain ${placement.availabilitySet.updateDomain}`;
  return "";
}

/** PATCH_MODE_AUTOMATIC_BY_PLATFORM: AutomaticByPlatform */
export function modeOf(mode) {
  const words = mode.replace(/^(PATCH|ASSESSMENT)_MODE_/, "").split("_");
  return words.map((word) => (word === "OS" ? word : word[0] + word.slice(1).toLowerCase())).join("").replace("ByOs", "ByOS");
}

function pending(view) {
  if (!view.assessment) return "not assessed yet";
  const urgent = view.assessment.patches.filter((patch) => patch.classification !== "CLASSIFICATION_OTHER").length;
  return urgent > 0 ? `${urgent} patches pending` : "nothing pending";
}
