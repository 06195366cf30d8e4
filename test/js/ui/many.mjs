// Ten thousand rows: only what is in view is in the document, and the end is reached.
import assert from "node:assert/strict";
import { flow, until } from "./harness.mjs";
import { like, t } from "./texts.mjs";

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
    }, 600_000); // by pages of 60; a busy machine takes its time
    assert.ok(most < 100, `${most} rows are in the document`);
    assert.ok((await drawn()) < 100);
    assert.ok((await page.locator("body *").count()) < 4000, "the document is too large");
  });
  await ui.step("scrolling is cheap", async () => {
    const grid = page.getByRole("grid").first();
    // The page's own time on the processor, which does not grow when others have the machine.
    const client = await page.context().newCDPSession(page);
    await client.send("Performance.enable", { timeDomain: "threadTicks" });
    const used = async () => (await client.send("Performance.getMetrics")).metrics.find((m) => m.name === "TaskDuration").value * 1000;
    const before = await used();
    const frames = 120;
    await grid.evaluate(async (e, n) => {
      for (let i = 0; i < n; i++) {
        e.scrollTop = (i * e.scrollHeight) / n;
        await new Promise((done) => requestAnimationFrame(done));
      }
    }, frames);
    const each = ((await used()) - before) / frames;
    await client.detach();
    if (process.env.UI_TIMES) console.error(`many: ${each.toFixed(1)} ms a frame`);
    assert.ok(each > 0 && each < 100, `a frame takes ${each} ms`);
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

  await ui.step("of a thousand event types the form draws some, and finds each", async () => {
    const names = Array.from({ length: 1000 }, (_, i) => `${["order", "invoice", "stock", "user"][i % 4]}.thing${String(i).padStart(3, "0")}.changed`);
    for (let n = 0; n < names.length; n += 50) await Promise.all(names.slice(n, n + 50).map((name) => ui.api("POST", "/v1/tenants/acme/event-types", { name })));
    await ui.open(page, "/ui/t/acme/endpoints/new");
    await page.getByRole("radio", { name: t("endpoints.form.what.chosen") }).check();
    const boxes = page.getByRole("group", { name: t("endpoints.form.types") }).getByRole("checkbox");
    await boxes.first().waitFor();
    await page.getByText(t("endpoints.form.types.more", { n: 300 })).waitFor();
    assert.ok((await boxes.count()) <= 310, "all of them are drawn");
    await page.getByRole("searchbox", { name: t("endpoints.form.types.find") }).fill("thing997");
    await boxes.and(page.getByRole("checkbox", { name: "invoice.thing997.changed" })).check();
    await page.getByText(like("endpoints.form.types.taken")).filter({ hasText: /^1 / }).waitFor();
  });
});
