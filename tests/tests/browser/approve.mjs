// Two people: one who started the rollout, and one who lets its next phase begin.
import { PAGE, accessible, assert, close, open } from "./browser.mjs";

// Nobody comes in without a token.
const operator = await open({ token: "", expected: ["401", "403"] });
const { page } = operator;
const form = page.getByRole("dialog", { name: "Who are you?" });
await form.waitFor();
await accessible(page, "Sign in");
await page.keyboard.press("Escape");
assert.ok(await form.isVisible(), "there is nothing behind it yet");
await form.getByLabel("Token").fill("not a token");
await form.getByRole("button", { name: "Sign in" }).click();
await form.getByText(/token/).first().waitFor();
await form.getByLabel("Token").fill(process.env.TOKEN);
await form.getByRole("button", { name: "Sign in" }).click();
await page.locator(".who", { hasText: "olga" }).waitFor();
assert.ok(!page.url().includes("token"));

// The first phase passes, the second waits for a person: not for this one.
const approve = page.getByRole("button", { name: "Approve phase 2" });
await approve.waitFor({ timeout: 60_000 });
await page.getByText("A person is needed").waitFor();
await approve.click();
const dialog = page.getByRole("dialog", { name: "Approve the phase 2" });
await dialog.getByText(/Phase 2 may start/).waitFor();
await dialog.getByLabel(/Why\?/).fill("I started it, I approve it");
await dialog.getByRole("button", { name: "Approve" }).click();
await dialog.getByRole("alert").filter({ hasText: /approver/i }).waitFor();
await dialog.getByRole("button", { name: "Do nothing" }).click();

// The second one sees the same, and may.
const second = await open({ token: process.env.APPROVER });
await second.page.locator(".who", { hasText: "april" }).waitFor();
await second.page.getByRole("button", { name: "Approve phase 2" }).click();
const theirs = second.page.getByRole("dialog", { name: "Approve the phase 2" });
await theirs.getByLabel(/Why\?/).fill("the canaries are well");
await theirs.getByRole("button", { name: "Approve" }).click();
await theirs.waitFor({ state: "detached" });

// Both see who did it, and that it goes on.
for (const looks of [page, second.page]) {
  await looks.locator(".deeds li", { hasText: "april approved a phase: phase 2" }).filter({ hasText: "the canaries are well" }).waitFor();
  await looks.locator(".phase h2", { hasText: /Phase 2: running/ }).waitFor();
}
assert.equal(PAGE.includes("#"), false);
await close(second);
await close(operator);
