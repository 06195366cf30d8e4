// Opens the page of "posthorn demo live" in Chromium, does what a visitor would, and checks what the visitor would see:
// node demo-page.mjs URL FOLDER. It writes screenshots into the folder, and fails at the first thing that is not as it should be.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { launch, until, watch } from "./chromium.mjs";

const [url, folder] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const ways = ["webhook", "websocket", "sse", "poll", "stored"];

const browser = await launch();
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  const faults = watch(page);
  await page.goto(url);
  await measured(page);
  await restart(page, faults);
  await chat(page);
  await otherBrowser(page);
  assert.deepEqual(faults.list, []);
  await pictures(page);
} finally {
  await browser.close();
}

/** All ways bring their events, and the figures look like delays. */
async function measured(page) {
  for (let i = 0; i < 5; i++) await page.click("#publish");
  await counted(page, 5);
  for (const way of ways) {
    const last = await page.locator(`[data-way=${way}] .last`).innerText();
    assert.match(last, /^[\d.]+\s*(ms|s)$/, `${way}: ${last}`);
  }
  assert.ok((await page.locator("#chart .dot").count()) >= 4 * 5, "the chart does not show every event by every way");
  const before = await count(page, "poll");
  await counted(page, before + 1); // by itself
}

/** How many events a way has brought. */
async function count(page, way) {
  return Number(await page.locator(`[data-way=${way}] td`).nth(3).innerText());
}

/** Waits until ways have brought n events. */
async function counted(page, n, of = ways) {
  for (const way of of) {
    await until(page, ([w, least]) => Number(document.querySelector(`[data-way=${w}]`)?.cells[4].textContent) >= least, [way, n]);
  }
}

/** The server goes and comes back, and so do the listeners. */
async function restart(page, faults) {
  await page.uncheck("#automatic");
  await page.waitForTimeout(300); // for the last automatic event
  faults.pause(); // what cannot be reached is told on the console
  await page.click("#restart");
  await page.locator("#notice").filter({ hasText: "The server is back" }).waitFor();
  for (const way of ["websocket", "sse", "poll"]) await page.locator(`[data-way=${way}] .state.open`).waitFor();
  for (const side of ["left", "right"]) await page.locator(`[data-side=${side}] .state.open`).waitFor();
  faults.resume();
  const before = await Promise.all(ways.map((way) => count(page, way)));
  for (let i = 0; i < 3; i++) await page.click("#publish");
  for (const [i, way] of ways.entries()) await counted(page, before[i] + 3, [way]);
}

/** What one pane says, both show once, whichever way each listens. */
async function chat(page) {
  for (const [left, right] of [["websocket", "websocket"], ["poll", "poll"], ["websocket", "poll"]]) {
    for (const [side, way] of [["left", left], ["right", right]]) {
      const by = page.locator(`[data-side=${side}] .by`).first();
      if ((await by.inputValue()) !== way) await by.selectOption(way);
      await page.locator(`[data-side=${side}] .state.open`).filter({ hasText: way === "poll" ? "over long poll" : "over WebSocket" }).waitFor();
    }
    for (const side of ["left", "right"]) await say(page, side, `${side} says it, ${left} to ${right}`, ["left", "right"]);
  }
}

/** Says something in a pane and waits until it is shown. */
async function say(page, side, text, shownIn, pages = [page]) {
  await page.locator(`[data-side=${side}] .text`).fill(text);
  await page.locator(`[data-side=${side}] .say button`).click();
  for (const p of pages) {
    for (const s of shownIn) {
      const said = p.locator(`[data-side=${s}] .said`).filter({ hasText: text });
      await said.waitFor();
      assert.equal(await said.count(), 1, `${s} shows “${text}” more than once`);
    }
  }
}

/** Somebody else opens the address: the history is there, and what is said goes both ways. */
async function otherBrowser(page) {
  const context = await browser.newContext();
  const other = await context.newPage();
  const faults = watch(other);
  await other.goto(page.url());
  await other.locator("[data-side=left] .said").filter({ hasText: "right says it, poll to poll" }).waitFor();
  await say(other, "left", "Good evening from the other browser", ["left", "right"], [page, other]);
  await say(page, "right", "And good evening back", ["left", "right"], [page, other]);
  assert.deepEqual(faults.list, []);
  await context.close();
}

/** Takes pictures, and sees that nothing is wider than the window. */
async function pictures(page) {
  await page.goto(`${url}?room=shop`);
  for (const way of ["websocket", "sse", "poll"]) await page.locator(`[data-way=${way}] .state.open`).waitFor();
  for (let i = 0; i < 40; i++) {
    await page.click("#publish");
    await page.waitForTimeout(120);
  }
  await say(page, "left", "Has order 1042 left the house?", ["left", "right"]);
  await say(page, "right", "This morning, with DHL.", ["left", "right"]);
  await say(page, "left", "Thank you! I'll tell the customer.", ["left", "right"]);
  await page.evaluate(() => document.activeElement?.blur());
  await page.waitForTimeout(1000);
  for (const [name, width, height, colorScheme] of [["demo", 1280, 900, "light"], ["demo-dark", 1280, 900, "dark"], ["demo-phone", 390, 844, "light"]]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(wide, 0, `${name}: the page is ${wide} pixels wider than the window`);
    const cut = await page.locator(".scroll").evaluate((e) => e.scrollWidth - e.clientWidth);
    assert.equal(cut, 0, `${name}: the table is ${cut} pixels wider than its panel`);
    await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
  }
}
