// Ten thousand rows: only what is in view is in the document, and the end is reached.
import assert from "node:assert/strict";
import { flow, until } from "./harness.mjs";

const total = 10_000;

await flow("many", async (ui) => {
  await ui.api("POST", "/v1/tenants", { name: "acme" });
  for (let n = 0; n < total; n += 1000) {
    await ui.api("POST", "/v1/tenants/acme/events", Array.from({ length: 1000 }, (_, i) => ({ id: `e-${n + i}`, type: "row.made", subject: `row/${n + i}`, data: { n: n + i } })));
  }
  const page = await ui.page();
  await ui.step("the list holds what is seen, and scrolls to its end", async () => {
    await ui.open(page, "/ui/t/acme/events");
    const grid = page.getByRole("grid").first();
    await grid.getByText("row/9999", { exact: true }).first().waitFor();
    const drawn = () => grid.locator("[data-at]").count();
    let most = 0;
    await until("the oldest event is shown", async () => {
      most = Math.max(most, await drawn());
      await grid.evaluate((e) => e.scrollTo(0, e.scrollHeight));
      return (await grid.getByText("row/0", { exact: true }).count()) > 0;
    }, 180_000); // by pages of 60
    assert.ok(most < 100, `${most} rows are in the document`);
    assert.ok((await drawn()) < 100);
    assert.ok((await page.locator("body *").count()) < 4000, "the document is too large");
  });
  await ui.step("scrolling is smooth", async () => {
    const grid = page.getByRole("grid").first();
    const slow = await grid.evaluate(async (e) => {
      const gaps = [];
      const step = e.scrollHeight / 120;
      let last = performance.now();
      for (let n = 0; n < 120; n++) {
        e.scrollTop = n * step;
        await new Promise((done) => requestAnimationFrame(done));
        const now = performance.now();
        gaps.push(now - last);
        last = now;
      }
      gaps.sort((a, b) => a - b);
      return gaps[60];
    });
    assert.ok(slow < 100, `half of the frames take over ${slow} ms`);
    await grid.evaluate((e) => e.scrollTo(0, 0));
    await grid.getByText("row/9999", { exact: true }).first().waitFor();
  });
  await ui.step("no row is lost or shown twice", async () => {
    const grid = page.getByRole("grid").first();
    const seen = await grid.evaluate(async (e) => {
      const found = new Set();
      for (let top = 0; top <= e.scrollHeight; top += e.clientHeight - 120) {
        e.scrollTop = top;
        await new Promise((done) => requestAnimationFrame(done));
        for (const m of e.innerText.matchAll(/row\/(\d+)/g)) found.add(Number(m[1]));
      }
      return found.size;
    });
    assert.equal(seen, total);
  });
});
