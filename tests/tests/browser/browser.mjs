// A real Chromium at the page, and what has to be so whatever it shows: no error, no other host, no serious fault that
// axe-core finds.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import net from "node:net";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.TOOLS, "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const PAGE = process.env.PAGE;
export { assert };

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
];

/** Opens the page; everything that goes wrong on it is in `faults`. */
export async function open({ at = PAGE, token = process.env.TOKEN, width = 1280, height = 860, expected = [], ...more } = {}) {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
  const context = await browser.newContext({ viewport: { width, height }, ...more });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const faults = [];
  const host = new URL(at).host;
  page.on("pageerror", (error) => faults.push(error.stack));
  page.on("console", (message) => {
    const said = message.text();
    if (message.type() === "error" && !expected.some((one) => said.includes(one))) faults.push(said);
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (!["blob:", "data:"].includes(url.protocol) && url.host !== host) faults.push(`a request to ${url.href}`);
  });
  await page.goto(token ? `${at}#token=${token}` : at);
  return { browser, context, page, faults };
}

export async function close({ browser, faults }) {
  await browser.close();
  assert.deepEqual(faults, [], "faults on the page");
}

/** What axe-core finds serious or critical, in light and in dark. */
export async function accessible(page, what) {
  for (const colorScheme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => axe.run({ resultTypes: ["violations"] }));
    const serious = violations.filter((one) => ["serious", "critical"].includes(one.impact));
    const said = serious.map((one) => `${one.id}: ${one.help}\n${one.nodes.slice(0, 4).map((node) => `   ${node.html.slice(0, 200)} ${node.failureSummary}`).join("\n")}`);
    assert.equal(said.join("\n"), "", `${what} in ${colorScheme}`);
  }
}

export async function shot(page, name) {
  await page.screenshot({ path: join(process.env.SHOTS, `${name}.png`) });
}

/** A way to the page that can be cut. */
export async function cable() {
  const { hostname, port } = new URL(PAGE);
  const open = new Set();
  let isCut = false;
  const server = net.createServer((near) => {
    if (isCut) return near.destroy();
    const far = net.connect({ host: hostname, port: Number(port) });
    for (const [one, other] of [[near, far], [far, near]]) {
      open.add(one);
      one.pipe(other);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        open.delete(one);
        other.destroy();
      });
    }
    return near;
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    page: `http://127.0.0.1:${server.address().port}/`,
    cut() {
      isCut = true;
      open.forEach((socket) => socket.destroy());
    },
    mend() {
      isCut = false;
    },
    end: () => server.close(),
  };
}

/** Presses Tab until what has the focus is so. */
export async function tabTo(page, name, most = 80) {
  for (let presses = 0; presses < most; presses += 1) {
    await page.keyboard.press("Tab");
    const focused = await page.evaluate(() => {
      const element = document.activeElement;
      const label = element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent;
      return label.trim().replace(/\s+/g, " ");
    });
    if (focused.startsWith(name)) return;
  }
  assert.fail(`"${name}" is not reached with ${most} presses of Tab`);
}
