// A rollout before it starts: its policy, what is planned, what it would come to. Only then is it started.
import { post, Refused } from "./api.js";
import { html, useEffect, useId, useState } from "./html.js";
import { overview } from "./live.js";
import { Table } from "./machine.js";
import { isOver, number } from "./states.js";
import { moment, now, span } from "./times.js";

export function Start() {
  const [name, setName] = useState(new Date(now()).toISOString().slice(0, 7));
  const [wish, setWish] = useState(null);
  const [plan, setPlan] = useState(null);
  const [forecast, setForecast] = useState(null);
  const [reason, setReason] = useState("");
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState("");
  const ids = { name: useId(), reason: useId() };
  const open = overview.value && overview.value.rollout && !isOver(overview.value.state) ? overview.value.rollout : null;
  const tell = (error) => {
    if (!(error instanceof Refused)) throw error;
    setTrouble(error.message);
  };
  // The plan is cheap, and always as the form says; the simulation is asked for.
  useEffect(() => {
    setTrouble("");
    setForecast(null);
    post("/v1/preview", { ...(wish && { policy: wish }), simulate: false }).then(setPlan, tell);
  }, [wish]);
  const policy = plan?.policy;
  const simulate = async () => {
    setBusy("simulating");
    setTrouble("");
    const began = Date.now();
    try {
      const found = await post("/v1/preview", { policy, simulate: true });
      setForecast({ ...found, took: Date.now() - began });
    } catch (error) {
      tell(error);
    }
    setBusy("");
  };
  const start = async (event) => {
    event.preventDefault();
    setBusy("starting");
    try {
      await post("/v1/rollouts", { rollout: name, policy, reason });
      location.hash = `#/rollout/${name}`;
    } catch (error) {
      tell(error);
    }
    setBusy("");
  };
  return html`
    <h1>Start a rollout</h1>
    ${open && html`<p class="card">Rollout <a href="#/rollout/${open}">${open}</a> is still under way. Another one may start beside it; regions take their turns one after the other.</p>`}
    ${policy && html`<${Policy} policy=${policy} apply=${setWish} />`}
    ${trouble && html`<p class="trouble" role="alert">${trouble}</p>`}
    ${plan && html`<${Preview} plan=${forecast ?? plan} forecast=${forecast} simulate=${simulate} busy=${busy === "simulating"} />`}
    ${plan?.phases.length > 0 && html`<form class="card start" onSubmit=${start}><h2>Start it</h2>
      <label for=${ids.name}>Its name</label><input id=${ids.name} required pattern="[a-z0-9]([a-z0-9\\-]*[a-z0-9])?" maxlength="63" value=${name} onInput=${(event) => setName(event.currentTarget.value)} />
      <label for=${ids.reason}>Why? It goes into the log beside your name.</label><textarea id=${ids.reason} required rows="2" maxlength="500" value=${reason} onInput=${(event) => setReason(event.currentTarget.value)}></textarea>
      <p>${forecast ? "It was simulated by the very code that will decide it." : html`It was <b>not simulated yet</b>: how many nights it needs, and how far a bad patch could get, is not known.`}</p>
      <div class="buttons"><button class="primary" disabled=${busy !== ""}>Start the rollout</button></div></form>`}`;
}

/** The commonest of a policy's fields; all others stay as they are, or come with a policy file on the command line. */
function Policy({ policy, apply }) {
  const [form, setForm] = useState({
    shares: policy.phaseShares.join(", "),
    canaries: policy.canaries.join(", "),
    batch: policy.batchPercent,
    soak: Number(policy.soakSeconds) / 60,
    bake: Number(policy.bakeSeconds) / 3_600,
    silence: Number(policy.silenceSeconds) / 60,
    nights: policy.retryNights,
    budget: policy.budgets.phase.percent,
    approvals: policy.approvals === "APPROVALS_BETWEEN_PHASES",
    certified: policy.patches === "PATCH_CHOICE_CERTIFIED",
  });
  const field = (key, label, more = {}) => {
    const isTick = more.type === "checkbox";
    const change = (event) => setForm({ ...form, [key]: isTick ? event.currentTarget.checked : event.currentTarget.value });
    return html`<label class=${isTick ? "tick" : ""}><span>${label}</span><input ...${more} ...${isTick ? { checked: form[key] } : { value: form[key] }} onChange=${change} /></label>`;
  };
  return html`<details class="card policy"><summary><h2>Policy</h2> <span class="quiet">safe defaults; open to change the commonest</span></summary>
    <div class="fields">
      ${field("shares", "Phases, in percent of the fleet")}
      ${field("canaries", "Regions that go first")}
      ${field("batch", "Batches, in percent", { type: "number", min: 1, max: 100 })}
      ${field("soak", "Soak, in minutes", { type: "number", min: 1 })}
      ${field("bake", "Bake, in hours", { type: "number", min: 0 })}
      ${field("silence", "Silent after, in minutes", { type: "number", min: 1 })}
      ${field("nights", "Nights that try again what was left", { type: "number", min: 0 })}
      ${field("budget", "Failures allowed, in percent", { type: "number", min: 0, max: 100 })}
      ${field("approvals", "A person approves each phase after the first", { type: "checkbox" })}
      ${field("certified", "Later phases install what the first ones proved", { type: "checkbox" })}
    </div><button onClick=${() => apply(changed(policy, form))}>Plan with this policy</button></details>`;
}

function changed(policy, form) {
  const list = (text) => text.split(/[,\s]+/).filter(Boolean);
  const budget = { percent: Number(form.budget), vms: 0 };
  const same = Number(form.budget) === policy.budgets.phase.percent;
  return {
    ...policy,
    phaseShares: list(form.shares).map(Number),
    canaries: list(form.canaries),
    batchPercent: Number(form.batch),
    soakSeconds: Number(form.soak) * 60,
    bakeSeconds: Number(form.bake) * 3_600,
    silenceSeconds: Number(form.silence) * 60,
    retryNights: Number(form.nights),
    budgets: same ? policy.budgets : { step: budget, zone: budget, region: budget, phase: budget },
    approvals: form.approvals ? "APPROVALS_BETWEEN_PHASES" : "APPROVALS_NEVER",
    patches: form.certified ? "PATCH_CHOICE_CERTIFIED" : "PATCH_CHOICE_LATEST",
  };
}

function Preview({ plan, forecast, simulate, busy }) {
  if (plan.phases.length === 0) {
    return html`<section class="empty"><h1>There is nothing to patch</h1><p>No machine of the fleet is patched by rollouts: <a href="#/fleet?q=eligible:no">each says why</a>.</p></section>`;
  }
  const known = forecast?.forecast;
  const night = (at) => (at ? moment(at) : "–");
  const rows = plan.phases.map((phase) => [
    phase.number, number(phase.vms), phase.regions.map((region) => html`<span title=${region.why}>${region.region} (${number(region.vms)}) </span>`),
    ...(known ? [night(phase.from), night(phase.to), html`<b>${number(phase.blastRadius)}</b> machines`] : []),
  ]);
  return html`<section class="card"><h2>What it would do</h2>
    ${known && html`<p class="lead"><b>${number(known.nights)} nights</b>, ${known.to ? `until ${moment(known.to)} (${span(Date.parse(known.to) - Date.parse(known.from))})` : "without an end before its deadline"}.
      ${known.suffices ? " Every machine is patched by the deadline." : ` ${number(known.allLate)} machines are not patched by the deadline.`}</p>`}
    <${Table} label="Phases" head=${["Phase", "Machines", "Regions", ...(known ? ["Begins", "Ends", "A bad patch reaches at most"] : [])]} rows=${rows} />
    ${plan.leftAlone > 0 && html`<p><a href="#/fleet?q=eligible:no">${number(plan.leftAlone)} machines</a> are left alone.</p>`}
    ${known?.late.length > 0 && html`<ul>${known.late.map((late) => html`<li><a href="#/vm/${late.vm}">${late.vm}</a>: ${late.why}</li>`)}</ul>`}
    ${forecast ? html`<p class="quiet">Simulated on a virtual clock, without faults, ${forecast.took < 1_000 ? "in a moment" : `in ${span(forecast.took)}`}; once more for each phase with a patch that breaks every machine.</p>`
      : html`<div class="buttons"><button class="primary" onClick=${simulate} disabled=${busy}>${busy ? "Simulating …" : "Simulate it: nights needed, blast radius"}</button></div>`}
  </section>`;
}
