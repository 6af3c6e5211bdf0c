// A halt, seen at once, resumed with a reason: without a mouse, over a connection that breaks.
import { accessible, assert, cable, close, open, shot, tabTo } from "./browser.mjs";

const wire = await cable();
// The browser says itself that a connection was refused.
const session = await open({ at: wire.page, expected: ["ERR_", "network error"] });
const { page } = session;
const banner = page.locator("#state");

await banner.filter({ hasText: "Halted in phase 1, east-asia" }).waitFor({ timeout: 90_000 });
await page.getByText("What they have in common").waitFor();
assert.match(await page.title(), /^HALTED/, "a tab in the background says it too");
await page.getByText(/service down after patch/).first().waitFor();

// What somebody has installed on one machine is there too: who asked for it, what it waits for, until when.
const { INSTALL } = process.env;
const onDemand = page.getByRole("region", { name: "On demand" });
const install = onDemand.getByRole("listitem").filter({ hasText: INSTALL });
await install.locator(".of-waiting", { hasText: "waiting" }).waitFor();
await install.getByText("in southeast-asia").waitFor();
await install.getByText(/asked for by olga \(“the release of noon”\), .* ago/).waitFor();
await install.getByText(/^Waits: region "east-asia" has its turn in rollout "monthly"$/).waitFor();
await install.getByText(/^It begins by .* UTC \(in .*\), or not at all\.$/).waitFor();
await accessible(page, "Tonight, halted");
await shot(page, "halted");
await page.setViewportSize({ width: 360, height: 740 });
assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360);
await shot(page, "halted-telephone");
await page.setViewportSize({ width: 1280, height: 860 });

// By the keyboard to its machine, and back.
await page.locator("body").press("Home");
await tabTo(page, INSTALL);
await page.keyboard.press("Enter");
await page.getByRole("heading", { level: 1, name: INSTALL }).waitFor();
await page.goBack();
await install.waitFor();

// The connection breaks, and what is shown is said to be old.
wire.cut();
await page.getByText(/Not live for/).waitFor();
assert.equal(await banner.innerText(), "Halted in phase 1, east-asia", "what was known stays on the page");
wire.mend();
await page.getByText("live", { exact: true }).waitFor();

// A wish without a reason goes nowhere.
const refused = await fetch(`${wire.page}v1/rollouts/monthly/resume`, {
  method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${process.env.TOKEN}` }, body: JSON.stringify({ reason: " " }),
});
assert.equal(refused.status, 400);
assert.match((await refused.json()).error.message, /^reason/);

// Keyboard only.
await page.locator("body").press("Home");
await tabTo(page, "Resume …");
await page.keyboard.press("Enter");
const dialog = page.getByRole("dialog", { name: "Resume the rollout" });
await dialog.waitFor();
await accessible(page, "The dialog");
await dialog.getByText(/failures so far are accepted/).waitFor();
await tabTo(page, "Why?");
await page.keyboard.type("the vendor says that it is harmless");
await tabTo(page, "Resume");
await page.keyboard.press("Enter");
await dialog.waitFor({ state: "detached" });
await page.locator(".deeds li", { hasText: "olga resumed it" }).filter({ hasText: "the vendor says that it is harmless" }).waitFor();

// It goes on, and halts again in the same region: that is taken out, and the rest goes on.
await banner.filter({ hasText: "Halted" }).waitFor({ timeout: 90_000 });
await page.locator("body").press("Home");
await tabTo(page, "Skip a region …");
await page.keyboard.press("Enter");
const skip = page.getByRole("dialog", { name: "Take a region out" });
await skip.waitFor();
await skip.getByLabel("Region").selectOption("east-asia");
await skip.getByText(/east-asia is taken out/).waitFor();
await skip.getByLabel(/Why\?/).fill("its machines wait for a fixed package");
await page.keyboard.press("Escape");
await skip.waitFor({ state: "detached" });
assert.equal(await page.locator(".deeds li", { hasText: "took a region out" }).count(), 0, "Escape does nothing");
await page.getByRole("button", { name: "Skip a region" }).click();
await skip.getByLabel("Region").selectOption("east-asia");
await skip.getByLabel(/Why\?/).fill("its machines wait for a fixed package");
await skip.getByRole("button", { name: "Skip a region" }).click();
await skip.waitFor({ state: "detached" });
await page.getByText("taken out by olga").first().waitFor();

// And the end of it.
await page.getByRole("button", { name: "Cancel" }).click();
const cancel = page.getByRole("dialog", { name: "End the rollout for good" });
await cancel.getByLabel(/Why\?/).fill("seen enough");
await cancel.getByRole("button", { name: "Cancel" }).click();
await banner.filter({ hasText: "Cancelled" }).waitFor();
// Its pair's turn is over: the install has its own, and when that has ended it is nobody's concern any more.
await onDemand.waitFor({ state: "detached", timeout: 90_000 });
await close(session);
wire.end();
