// A rollout from its preview to its report.
import { PAGE, accessible, assert, close, open, shot } from "./browser.mjs";

const session = await open();
const { page } = session;
const go = async (view, heading) => {
  await page.evaluate((to) => { location.hash = to; }, `#/${view}`);
  await page.getByRole("heading", { level: 1, name: heading }).waitFor();
};
const banner = page.locator("#state");

// The token is used, and is not in the address any more.
assert.equal(page.url(), PAGE);
await page.locator(".who", { hasText: "olga" }).waitFor();

// Nothing yet: the page says what to do.
await banner.filter({ hasText: "No rollout yet" }).waitFor();
await accessible(page, "Tonight before any rollout");
await page.getByRole("link", { name: "Start a rollout" }).click();

// The plan, then what it would come to.
await page.getByRole("table", { name: "Phases" }).waitFor();
await page.getByText("safe defaults").click();
const set = async (label, value) => {
  await page.getByLabel(label).fill(value);
};
await set("Phases, in percent", "10, 50, 100");
await set("Batches, in percent", "50");
await set("Soak, in minutes", "20");
await set("Bake, in hours", "2");
await set("Failures allowed", "10");
// As in `nightshift demo`, whose machines speak seldom: on its clock a quarter of an hour is a moment.
await set("Silent after", "60");
await set("Nights that try again", "1");
await page.getByRole("button", { name: "Plan with this policy" }).click();
await page.getByRole("row").nth(3).waitFor();
await page.getByRole("button", { name: /Simulate it/ }).click();
await page.getByText("A bad patch reaches at most").waitFor();
assert.match(await page.locator(".lead").innerText(), /\d+ nights/);
await accessible(page, "Start");
await shot(page, "start");
await page.getByLabel("Its name").fill("monthly");
await page.getByLabel(/Why\?/).fill("the patches of January");
await page.getByRole("button", { name: "Start the rollout" }).click();

// Tonight, live.
await banner.filter({ hasText: "Running" }).waitFor();
await page.getByText("“the patches of January”").first().waitFor();
const counts = () => page.locator(".legend b").allInnerTexts().then((all) => all.map((text) => Number(text.replaceAll(",", ""))));
const seen = new Set();
const deadline = Date.now() + 240_000;
let dark = false;
for (;;) {
  const [waiting, flight, soaking, healthy, failed, skipped, deferred] = await counts();
  if (flight > 0) seen.add("in flight");
  if (soaking > 0) seen.add("soaking");
  assert.equal(failed, 0, "a machine failed in a night without faults");
  assert.equal(waiting + flight + soaking + healthy + failed + skipped + deferred, 224);
  if (!dark && flight > 0 && healthy > 20) {
    await page.emulateMedia({ colorScheme: "light" });
    await shot(page, "tonight");
    await page.emulateMedia({ colorScheme: "dark" });
    await shot(page, "tonight-dark");
    await page.emulateMedia({ colorScheme: "light" });
    dark = true;
  }
  if ((await banner.innerText()).includes("Completed")) break;
  // Enough was seen of it when only machines that are off are left: the rest of it are nights of waiting for them.
  if (healthy === 220 && waiting + flight + soaking === 0) break;
  assert.ok(Date.now() < deadline, `still ${await banner.innerText()} with ${healthy} healthy`);
  await page.waitForTimeout(100);
}
assert.deepEqual([...seen].sort(), ["in flight", "soaking"]);
await page.locator(".phase h2", { hasText: "passed" }).nth(1).waitFor();
await accessible(page, "Tonight");

// The morning after.
await go("report/monthly", "Report: rollout monthly");
await page.getByRole("table", { name: "Versions" }).waitFor();
assert.equal(await page.getByRole("table", { name: "Regions" }).getByRole("row").count(), 7);
await accessible(page, "Report");
const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Every machine as CSV" }).click()]);
const chunks = [];
for await (const chunk of await file.createReadStream()) chunks.push(chunk);
const lines = Buffer.concat(chunks).toString().trim().split("\r\n");
assert.equal(lines.length, 225, "a line for each machine, and the head");
assert.match(lines[1], /^east-asia,eas-[a-z]+-\d+,healthy,,1,2026-01-\d\dT.*libc6|openssl|nginx|sudo/);
await page.emulateMedia({ media: "print" });
assert.equal(await page.locator(".top").isVisible(), false, "paper has nothing to press");
await page.emulateMedia({ media: "screen" });

// Any moment of it again.
await go("timeline/monthly", "Timeline of monthly");
await accessible(page, "Timeline");
const slider = page.getByLabel("The moment");
await slider.focus();
await page.keyboard.press("Home");
await page.keyboard.press("ArrowRight");
await page.getByText(/running, 224 waiting/).waitFor();
await page.getByRole("button", { name: "To what happened next" }).click();
await page.locator(".marks li", { hasText: "phase 1 passed" }).getByRole("button").click();
await page.getByText(/running, 211 waiting, 13 healthy/).waitFor();
await page.evaluate(() => scrollTo(0, 0));
await shot(page, "timeline");

await go("audit", "Audit");
await page.getByText("No safety rule was broken").waitFor();
assert.equal(await page.locator(".rules li").count(), 10);
await accessible(page, "Audit");

await go("compliance", "30 days");
await page.getByText("within the promise").waitFor();
await accessible(page, "Compliance");

await go("regions", "Regions");
assert.equal(await page.getByRole("table", { name: "Regions" }).getByRole("row").count(), 7);
await accessible(page, "Regions");

// The fleet, narrowed down to one machine.
await go("fleet", "Fleet");
await page.getByText("300 of 300 machines").waitFor();
await page.getByLabel("Find machines").fill("state:healthy region:west-* set:*db");
await page.getByText(/^10 of 300 machines/).waitFor();
assert.match(page.url(), /#\/fleet\?q=state/, "a search is a link");
await accessible(page, "Fleet");
await page.getByLabel("Find machines").fill("colour:red");
await page.getByRole("alert").filter({ hasText: "\"colour\" is no key" }).waitFor();
session.faults.splice(0, session.faults.length, ...session.faults.filter((fault) => !fault.includes("400 (Bad Request)")));
await page.getByLabel("Find machines").fill("weu-db-03");
await page.getByRole("link", { name: "weu-db-03" }).click();
await page.getByRole("heading", { level: 1, name: "weu-db-03" }).waitFor();
await page.getByText("Why it is where it is").waitFor();
await page.getByText(/patches were installed/).first().waitFor();
await page.locator(".strip .mark.confirmed").first().waitFor();
await accessible(page, "Machine");
await shot(page, "machine");

// A link into the middle of it, on a telephone.
await page.setViewportSize({ width: 360, height: 740 });
for (const [view, heading] of [["rollout/monthly", /Running|Completed/], ["vm/weu-db-03", "weu-db-03"], ["fleet", "Fleet"], ["timeline/monthly", "Timeline"], ["report/monthly", "Report"], ["audit", "Audit"]]) {
  await page.goto(`${PAGE}#/${view}`);
  await page.getByRole("heading", { level: 1, name: heading }).waitFor();
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 360, `${view} is ${width} wide on a telephone`);
}
await page.goto(`${PAGE}#/nothing`);
await page.getByRole("heading", { name: "There is no such page" }).waitFor();
await close(session);
