// Opens the inspector of "posthorn listen" in Chromium, sends requests through the tunnel, and checks what a developer would see:
// node inspector.mjs INSPECTOR PUBLIC-URL FOLDER. It writes screenshots into the folder, and fails at the first thing that is wrong.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { launch, until, watch } from "./chromium.mjs";

const [inspector, tunnel, folder] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const evil = `"><script>window.hacked=1</script><img src=x onerror="window.hacked=2">`;

const browser = await launch();
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
  const faults = watch(page);
  await page.goto(inspector);
  await page.locator("#connection.open").waitFor();
  assert.equal(await page.locator("#url").innerText(), tunnel);
  await arrives(page);
  await bodies(page);
  await filters(page);
  await replays(page);
  await edits(page, faults);
  await keyboard(page);
  await pictures(page);
  await cleared(page);
  assert.equal(await page.evaluate(() => window.hacked), undefined, "a script from a request has run");
  assert.deepEqual(faults.list, []);
  await otherOrigins();
} finally {
  await browser.close();
}

/** Sends a request through the tunnel. */
async function send(path, { method = "POST", body = "", headers = {} } = {}) {
  const res = await fetch(tunnel + path, { method, headers, body: method === "GET" ? undefined : body });
  return { status: res.status, text: await res.text() };
}

/** Waits for the list to have n rows. */
function rows(page, n) {
  return until(page, (want) => document.querySelectorAll("#list li").length === want, n);
}

function row(page, path) {
  return page.locator("#list li").filter({ hasText: path });
}

/** Opens a request and returns the part that is named. */
async function open(page, path, part = "Request") {
  await row(page, path).first().click();
  await page.locator(".summary h2").filter({ hasText: path }).waitFor();
  return page.locator(`.part[aria-label=${part}]`);
}

/** A request with scripts wherever texts can be is listed as it comes, and shown as text. */
async function arrives(page) {
  await page.locator("#empty").filter({ hasText: "Nothing has come yet" }).waitFor();
  const answer = await send(`/evil?q=${encodeURIComponent(evil)}`, { headers: { "Content-Type": "text/html", "X-Mine": evil }, body: evil });
  assert.equal(answer.text, evil);
  await rows(page, 1);
  const request = await open(page, "/evil");
  for (const part of ["Request", "Answer"]) {
    await page.locator(`.part[aria-label=${part}] pre`).filter({ hasText: evil }).waitFor();
  }
  assert.match(await request.innerText(), /X-Mine|x-mine/);
  assert.equal(await request.locator(".pairs td").filter({ hasText: evil }).count(), 2, "the header and the query are shown");
}

/** Bodies are shown by what they are. */
async function bodies(page) {
  await send("/broken.json", { headers: { "Content-Type": "application/x-www-form-urlencoded" }, body: "name=J%C3%BCrgen&x=1+2" });
  const form = await open(page, "/broken.json");
  await form.locator("td", { hasText: "Jürgen" }).waitFor();
  const broken = page.locator(".part[aria-label=Answer]");
  assert.equal(await broken.locator(".fault").innerText(), "Line 1, column 11: a value should be here.");
  assert.equal(await broken.locator("mark").innerText(), "]");
  await send("/packed", { body: Buffer.from([0, 1, 2, 0xff, 0xfe]) });
  await open(page, "/packed");
  await page.locator(".part[aria-label=Request] pre.hex").filter({ hasText: "00 01 02 ff fe" }).waitFor();
  await page.locator(".part[aria-label=Answer] .n").filter({ hasText: '"packed"' }).waitFor();
  await send("/xml", { headers: { "Content-Type": "application/xml" }, body: "<a><b>x</a>" });
  const xml = await open(page, "/xml");
  await xml.locator(".fault").filter({ hasText: "</b> should end here" }).waitFor();
  await xml.getByRole("button", { name: "Hex" }).click();
  await xml.locator("pre.hex").filter({ hasText: "3c 61 3e" }).waitFor();
}

/** The list is narrowed by each filter. */
async function filters(page) {
  await send("/refuse", { method: "PUT", body: "needle" });
  await rows(page, 5);
  await page.selectOption("#status", "4");
  await rows(page, 1);
  await page.selectOption("#status", "");
  await page.selectOption("#method", "PUT");
  await rows(page, 1);
  await page.selectOption("#method", "");
  await page.selectOption("#kind", "replay");
  await rows(page, 0);
  await page.locator("#empty").filter({ hasText: "None of the requests matches" }).waitFor();
  await page.selectOption("#kind", "");
  await page.fill("#text", "NEEDLE"); // in the body
  await rows(page, 1);
  await page.fill("#text", "");
  await rows(page, 5);
}

/** A replay comes as a new request and is shown. */
async function replays(page) {
  await open(page, "/evil");
  await page.click("#replay");
  await rows(page, 6);
  await page.locator(".facts").filter({ hasText: "Replay of" }).waitFor();
  await page.locator(".part[aria-label=Answer] pre").filter({ hasText: evil }).waitFor();
}

/** A changed request gets the answer to the change; mistakes are told. */
async function edits(page, faults) {
  await open(page, "/evil");
  await page.click("#edit");
  await page.fill("#edit-path", "no slash");
  await page.fill("#edit-body", "changed");
  faults.pause(); // the refusal is told on the console
  await page.click("#edit-send");
  await page.locator("#edit-error").filter({ hasText: "not a valid request" }).waitFor();
  faults.resume();
  await page.fill("#edit-path", "/changed");
  await page.fill("#edit-headers", "Host: localhost\nX-Mine: other");
  await page.click("#edit-send");
  await page.locator(".summary h2").filter({ hasText: "POST /changed" }).waitFor();
  await page.locator(".part[aria-label=Answer] pre").filter({ hasText: /^changed$/ }).waitFor();
  await page.locator(".part[aria-label=Answer] td").filter({ hasText: "other" }).waitFor();
}

/** All of it without a mouse. */
async function keyboard(page) {
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.id), "list");
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  const path = await page.locator("#list li[aria-selected=true] .path").innerText();
  assert.equal(path, await page.locator("#list li").nth(2).locator(".path").innerText());
  await page.locator(".summary h2").filter({ hasText: path }).waitFor();
  const before = await page.locator("#list li").count();
  await page.keyboard.press("r");
  await rows(page, before + 1);
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.id), "text");
  await page.keyboard.type("r");
  assert.equal(await page.inputValue("#text"), "r");
  await page.fill("#text", "");
  await page.keyboard.press("Escape");
}

/** Takes pictures, and sees that nothing is wider than the window. */
async function pictures(page) {
  await send("/orders?page=2", { headers: { "Content-Type": "application/json", "X-Signature": "sha256=" + "ab".repeat(32) }, body: JSON.stringify({ id: 42, items: [{ sku: "A-1", price: "10.00" }, { sku: "long".repeat(60) }] }) });
  await open(page, "/orders");
  for (const [name, width, height, colorScheme] of [["inspector", 1280, 860, "light"], ["inspector-dark", 1280, 860, "dark"], ["inspector-phone", 360, 740, "light"]]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height });
    await page.waitForTimeout(200);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(wide, 0, `${name}: the page is ${wide} pixels wider than the window`);
    await page.screenshot({ path: join(folder, `${name}.png`), fullPage: width < 500 });
  }
  await page.click("#back");
  await page.locator("#list").waitFor();
  assert.equal(await page.locator("#detail").isVisible(), false, "the list and the request are there at once on a narrow screen");
  await page.screenshot({ path: join(folder, "inspector-phone-list.png") });
  await page.setViewportSize({ width: 1280, height: 860 });
}

async function cleared(page) {
  await page.click("#clear");
  await rows(page, 0);
  await page.locator("#empty").filter({ hasText: "Nothing has come yet" }).waitFor();
  assert.equal(await page.locator("#detail").innerText(), "");
}

/** A page of another origin can neither read nor change anything. */
async function otherOrigins() {
  const { createServer } = await import("node:http");
  const server = createServer((req, res) => res.setHeader("Content-Type", "text/html").end("<!doctype html><title>other</title>")).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  await send("/secret");
  const page = await browser.newPage();
  try {
    await page.goto(`http://localhost:${server.address().port}/`);
    const got = await page.evaluate(async (base) => {
      const tries = [];
      for (const [path, options] of [["/api/requests/http", {}], ["/api/requests/http", { method: "POST", body: "{}" }], ["/api/requests/http", { method: "DELETE" }], ["/api/events", {}]]) {
        tries.push(await fetch(base + path, options).then((r) => r.status, () => "refused"));
      }
      const sent = await fetch(base + "/api/requests/http", { method: "POST", mode: "no-cors", body: "{}" }).then((r) => r.type, () => "refused");
      return [...tries, sent];
    }, inspector);
    assert.deepEqual(got, ["refused", "refused", "refused", "refused", "refused"]);
    const left = await (await fetch(`${inspector}/api/requests/http`)).json();
    assert.equal(left.requests.length, 1, "another origin has cleared the list");
  } finally {
    await page.close();
    server.close();
    server.closeAllConnections();
  }
}
