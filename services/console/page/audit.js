// The auditor's verdict, with its evidence.
import { html } from "./html.js";
import { Asking, Trouble, useAnswer } from "./load.js";
import { number, Shape } from "./states.js";
import { exact, moment } from "./times.js";

export function Audit() {
  const { data, error } = useAnswer("/v1/audit");
  if (error && !data) return html`<${Trouble} error=${error} what="The verdict" />`;
  if (!data) return html`<${Asking} what="the auditor’s verdict: it reads the whole log" />`;
  const broken = data.violations.length;
  return html`
    <h1>Audit</h1>
    <section class="card">
      <p class="lead"><b class=${broken > 0 ? "of-failed" : "of-healthy"}><${Shape} id=${broken > 0 ? "failed" : "healthy"} /> ${broken === 0 ? "No safety rule was broken" : `${number(broken)} violations`}</b>
        in ${number(Number(data.events))} events and ${number(Number(data.orders))} orders${data.asOf && `, up to ${moment(data.asOf)}`}.</p>
      <p class="quiet">Proved from the log alone, by code that shares nothing with the code that decided. Anyone can do the same:
        <code>nightshift events export log.jsonl</code>, then <code>nightshift audit log.jsonl</code>.</p>
    </section>
    <section class="card"><h2>Rules</h2><ul class="rules">${data.rules.map((rule) => html`
      <li><span class=${rule.violations > 0 ? "of-failed" : Number(rule.checked) > 0 ? "of-healthy" : "of-skipped"}><${Shape} id=${rule.violations > 0 ? "failed" : Number(rule.checked) > 0 ? "healthy" : "skipped"} /></span>
        <b>${rule.rule}</b> <span>${rule.says}</span>
        <span class="quiet">${Number(rule.checked) === 0 ? "never put to the test" : `checked ${number(Number(rule.checked))} times`}${rule.violations > 0 ? `, ${number(rule.violations)} violations` : ""}</span></li>`)}</ul></section>
    ${broken > 0 && html`<section class="card"><h2>Evidence</h2><ol class="violations">${data.violations.map((one) => html`
      <li><p><b>${one.rule}</b> ${one.sentence}</p><${Event} which="first" event=${one.first} /><${Event} which="second" event=${one.second} /></li>`)}</ol></section>`}`;
}

const Event = ({ which, event }) => html`<p class="quiet">${which}: <code>${event.partition} #${event.position}</code> ${event.what}, ${exact(event.at)}</p>`;
