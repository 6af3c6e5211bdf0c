// The frame: which view the address names, and what is around every view.
import { Wish } from "./act.js";
import { effect, html, render, signal, useEffect } from "./html.js";
import { follow, overview } from "./live.js";
import { SignIn, Who } from "./signin.js";
import { Freshness, Tonight } from "./tonight.js";
import { moment, now } from "./times.js";

/** Views that are not needed for the first look are loaded when they are first looked at. */
const later = (file, name) => async () => (await import(file))[name];

const VIEWS = {
  "": { title: "Tonight", load: async () => Tonight },
  rollout: { title: "Rollout", load: async () => Tonight },
  start: { title: "Start a rollout", load: later("./start.js", "Start") },
  fleet: { title: "Fleet", load: later("./fleet.js", "Fleet") },
  vm: { title: "Machine", load: later("./machine.js", "Machine") },
  regions: { title: "Regions", load: later("./topology.js", "Regions") },
  timeline: { title: "Timeline", load: later("./timeline.js", "Timeline") },
  report: { title: "Report", load: later("./report.js", "Report") },
  compliance: { title: "Compliance", load: later("./compliance.js", "Compliance") },
  audit: { title: "Audit", load: later("./audit.js", "Audit") },
};

const TABS = [
  ["", "Tonight"],
  ["fleet", "Fleet"],
  ["regions", "Regions"],
  ["timeline", "Timeline"],
  ["report", "Report"],
  ["compliance", "30 days"],
  ["audit", "Audit"],
];

/** `#/vm/ID?query` */
function read(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [view = "", ...rest] = path.split("/");
  return { view, id: decodeURIComponent(rest.join("/")), query: new URLSearchParams(query) };
}

const address = signal(read(location.hash));
const shown = signal(null);

addEventListener("hashchange", () => {
  address.value = read(location.hash);
});

effect(() => {
  const wanted = address.value;
  const view = VIEWS[wanted.view];
  if (!view) {
    shown.value = { View: Lost, address: wanted };
    return;
  }
  view.load().then((View) => {
    if (address.peek() === wanted) shown.value = { View, address: wanted };
  });
  follow(wanted.view === "rollout" ? wanted.id : "");
});

function Lost() {
  return html`<section class="empty"><h1>There is no such page</h1>
    <p>The address names a view that this console does not have. <a href="#/">Tonight</a> is where everything begins.</p></section>`;
}

function Frame() {
  const current = shown.value;
  const view = current?.address.view ?? "";
  const title = [current?.address.id, VIEWS[view]?.title].filter(Boolean).join(" · ");
  useEffect(() => {
    const state = overview.value?.state;
    const halted = state === "ROLLOUT_STATE_HALTED" ? "HALTED · " : "";
    document.title = `${halted}${title || "Nightshift"} · Nightshift`;
  });
  // Who follows a link reads on where it led.
  useEffect(() => {
    document.getElementById("main").focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [view, current?.address.id]);
  const here = view === "rollout" || view === "start" ? "" : view === "vm" ? "fleet" : view;
  return html`
    <header class="top">
      <a class="brand" href="#/"><img src="/page/icon.svg" alt="" width="26" height="26" /> Nightshift</a>
      <nav aria-label="Views">${TABS.map(([id, word]) => html`
        <a href=${`#/${id}`} aria-current=${here === id ? "page" : undefined}>${word}</a>`)}</nav>
      <span class="clock">${overview.value ? moment(now()) : ""}</span>
      <${Freshness} /><${Who} />
    </header>
    <main id="main" tabindex="-1">${current && html`<${current.View} key=${view} ...${current.address} />`}</main>
    <${Wish} /><${SignIn} />`;
}

render(html`<${Frame} />`, document.getElementById("page"));
document.getElementById("main").focus({ preventScroll: true });
