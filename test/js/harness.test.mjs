// What the harness of the UI's tests must notice: a page with one of each fault.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import test from "node:test";
import { launch } from "./chromium.mjs";
import { UI, until } from "./ui/harness.mjs";

const bad = `<!doctype html><html lang="en"><title>bad</title><body><main><div id="wide">wide</div><h1>Bad</h1>
<script src="/bad.js"></script><script>window.inline = true</script>
<img src="http://127.0.0.2:9/other.png" width="1" height="1">
<p style="color:#bbb">no contrast</p><p id="moved">moved</p></main>`;
const script = `console.error("an error"); console.warn("a warning"); alert("a dialog");
fetch("/broken"); fetch("/missing"); Promise.reject(new Error("nobody waits")); setTimeout(() => { throw new Error("thrown late"); });
document.addEventListener("DOMContentLoaded", () => {
  document.querySelector("#wide").style.width = "3000px";
  setTimeout(() => { document.querySelector("#wide").style.height = "500px"; }, 300);
});`;

test("the harness notices what a page must not do", { timeout: 120_000 }, async () => {
  const server = createServer((req, res) => {
    res.setHeader("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src *");
    if (req.url === "/") return res.setHeader("Content-Type", "text/html").end(bad);
    if (req.url === "/bad.js") return res.setHeader("Content-Type", "text/javascript").end(script);
    res.writeHead(req.url === "/broken" ? 500 : 404).end();
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const ui = new UI("harness", `http://127.0.0.1:${server.address().port}`, "");
  ui.browser = await launch();
  try {
    const page = await ui.page({ key: null });
    await ui.expecting(404, /^\/missing$/, async () => {
      await ui.open(page, "/");
      await until("the page has moved", () => page.evaluate(() => window.__shift.sum > 0));
      await until("all came", () => ui.faults.some((f) => f.includes("thrown late")));
    });
    for (const part of ["an error", "a warning", "dialog: alert a dialog", "500 GET", "thrown: Error: nobody waits", "thrown: Error: thrown late", "policy: script-src-elem refused inline", "policy: style-src-attr refused inline", "asked another host: http://127.0.0.2:9/other.png"]) {
      assert.ok(ui.faults.some((f) => f.includes(part)), `not noticed: ${part}; noticed: ${ui.faults.join("\n")}`);
    }
    assert.ok(!ui.faults.some((f) => f.includes("missing")), `a fault that was expected: ${ui.faults.join("\n")}`);
    assert.throws(() => ui.clean());
    await assert.rejects(() => ui.noShift(page), /shifted/);
    await assert.rejects(() => ui.fits(page), /wider/);
    await page.evaluate(() => (document.querySelector("#moved").style.color = "#ddd"));
    ui.faults.length = 0;
    await assert.rejects(() => ui.axe(page), /color-contrast/);
    assert.deepEqual(ui.faults, [], "axe-core breaks the page's policy by itself");
  } finally {
    await ui.browser.close();
    server.close();
    server.closeAllConnections();
  }
});
