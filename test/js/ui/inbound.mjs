// Bins and sources: requests as they come, byte for byte; what was verified, what was refused, and why.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { flow, reads, until } from "./harness.mjs";
import { seed } from "./seed.mjs";
import { t } from "./texts.mjs";

await flow("inbound", async (ui) => {
  const { bins: [bin] } = await seed(ui);
  const target = await ui.receiver(() => ({ status: 201, body: "made", headers: { "Content-Type": "text/plain" } }));
  const page = await ui.page();
  const main = page.getByRole("main");
  const button = (name) => page.getByRole("button", { name, exact: true });
  const list = page.getByRole("grid", { name: t("bins.requests") });
  const row = (text) => list.getByRole("row").filter({ hasText: text });
  const detail = page.getByRole("article").first();

  await ui.step("a bin's requests come live, and each is shown as it was sent", async () => {
    await ui.open(page, "/ui/bins");
    await page.getByRole("grid", { name: t("bins.title") }).getByRole("row").filter({ hasText: "Trying a payment gateway" }).click({ position: { x: 60, y: 20 } }); // beside the address, which is to be copied
    await page.waitForURL(`**/ui/bins/${bin.id}**`);
    await page.getByRole("status").filter({ hasText: "Live" }).first().waitFor();
    await fetch(`${bin.url}/live?q=1`, { method: "POST", headers: { "Content-Type": "application/octet-stream", "X-Odd-CASE": "kept" }, body: Buffer.from([0, 1, 0xff, 0xfe]) });
    await row("/live").click();
    await detail.getByRole("heading", { name: "POST /live" }).waitFor();
    await detail.getByText("00 01 ff fe").waitFor();
    await detail.getByText("kept", { exact: true }).waitFor();
    await ui.axe(page);
  });

  await ui.step("a form, a file, JSON: each in its own way", async () => {
    await row("/form").click();
    await detail.getByRole("heading", { name: "PUT /form" }).waitFor();
    await detail.getByText("Jürgen", { exact: true }).first().waitFor();
    await row("/upload").click();
    await detail.getByText("invoice.pdf", { exact: true }).waitFor();
    await row("/pay").click();
    await detail.getByText('"p-1"').first().waitFor();
  });

  await ui.step("searched", async () => {
    await page.getByRole("searchbox").fill("p-1");
    await until("one is left", async () => (await list.locator("[data-at]").count()) === 1);
    await row("/pay").waitFor();
    await page.getByRole("searchbox").fill("");
    await until("all are back", async () => (await list.locator("[data-at]").count()) > 3);
  });

  await ui.step("from one to the next by keys; a note is written, and is on the list", async () => {
    await row("/pay").click();
    await detail.getByRole("heading", { name: "POST /pay" }).waitFor();
    await page.keyboard.press("k");
    await detail.getByRole("heading", { name: "PUT /form" }).waitFor();
    await page.keyboard.press("j");
    await detail.getByRole("heading", { name: "POST /pay" }).waitFor();
    await detail.getByRole("button", { name: t("bins.note.add") }).click();
    await page.keyboard.type("the one that failed"); // the field has the focus
    await page.keyboard.press("Enter");
    await row("/pay").getByText("the one that failed").waitFor();
    assert.equal((await ui.api("GET", `/v1/bins/${bin.id}/requests?query=the+one+that+failed`)).data?.length ?? 0, 1);
  });

  await ui.step("what comes while the top is read again stays", async () => {
    let release;
    const held = new Promise((done) => (release = done));
    let read = 0;
    await page.route(/\/v1\/bins\/[^/]+\/requests\?limit=100/, async (route) => {
      const response = await route.fetch(); // as it is before the next request comes
      read++;
      await held;
      await route.fulfill({ response });
    });
    await button(t("bins.pause")).click();
    await button(t("bins.resume")).click();
    await until("the top is being read", () => read > 0);
    await fetch(`${bin.url}/meanwhile`, { method: "POST" });
    await row("/meanwhile").waitFor();
    const answered = page.waitForResponse(/\/requests\?limit=100/);
    release();
    await (await answered).finished();
    await ui.settled(page);
    assert.equal(await row("/meanwhile").count(), 1);
    await page.unroute(/\/v1\/bins\/[^/]+\/requests\?limit=100/);
  });

  await ui.step("bins are found by what they are called, and say how much is in them", async () => {
    await ui.open(page, "/ui/bins");
    const bins = page.getByRole("grid", { name: t("bins.title") });
    await page.getByRole("searchbox").fill("gateway");
    await until("one is left", async () => (await bins.locator("[data-at]").count()) === 1);
    await bins.getByRole("row").filter({ hasText: "Trying a payment gateway" }).getByText("6", { exact: true }).waitFor();
    await page.getByRole("searchbox").fill("no such bin");
    await page.getByText(t("bins.none.filtered")).waitFor();
    await ui.open(page, `/ui/bins/${bin.id}`);
  });

  await ui.step("replayed to another address, its answer shown", async () => {
    await row("/pay").click();
    await detail.getByRole("heading", { name: "POST /pay" }).waitFor();
    await button(t("bins.replay")).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel(t("bins.replay.url"), { exact: true }).fill(`${target.url}/again`);
    await dialog.getByRole("button", { name: t("bins.replay.send") }).click();
    await dialog.getByText("201").first().waitFor();
    await dialog.getByText("made").first().waitFor();
    assert.equal(target.requests.at(-1).body, '{"payment":{"id":"p-1","amount":"100.00"}}');
    assert.equal(target.requests.at(-1).headers["x-signature"], "sha256=abc");
    await ui.axe(page);
    await page.keyboard.press("Escape");
  });

  await ui.step("exported", async () => {
    await button(t("bins.tools")).click();
    const coming = page.waitForEvent("download");
    await page.getByRole("menuitem", { name: t("bins.export.har") }).click();
    const har = JSON.parse(await readFile(await (await coming).path(), "utf8"));
    assert.ok(har.log.entries.some((e) => e.request.url.includes("/pay")), "the export lacks a request");
  });

  await ui.step("a request that waits is answered by hand", async () => {
    await ui.api("PATCH", `/v1/bins/${bin.id}`, { hold: "60s" });
    await ui.open(page, `/ui/bins/${bin.id}`);
    await page.getByRole("status").filter({ hasText: "Live" }).first().waitFor();
    const answer = fetch(`${bin.url}/waits`, { method: "POST", body: "?" });
    await row("/waits").click();
    const form = page.getByRole("form", { name: t("bins.held") });
    await form.getByLabel(t("bins.answer.status"), { exact: true }).fill("202");
    await form.getByRole("textbox", { name: new RegExp(`^${t("bins.answer.body")}`) }).fill("by hand");
    await ui.axe(page);
    await form.getByRole("button", { name: t("bins.held.send") }).click();
    const res = await answer;
    assert.deepEqual([res.status, await res.text()], [202, "by hand"]);
  });

  await ui.step("a source tells what it took and what it refused, and why", async () => {
    await ui.open(page, "/ui/t/acme/sources");
    await page.getByRole("grid").getByRole("row").filter({ hasText: "github" }).click();
    await page.getByRole("heading", { level: 1, name: "github" }).waitFor();
    const figure = (key) => main.locator(".stat").filter({ hasText: t(key) }).locator(".value").first();
    await reads("one was taken", () => figure("sources.accepted").innerText(), /1/);
    await reads("one was refused", () => figure("sources.refused").innerText(), /1/);
    await main.getByText(t("sources.lastRefused")).first().waitFor();
    for (const tab of await page.getByRole("tab").all()) {
      await tab.click();
      await ui.settled(page);
      await ui.axe(page);
    }
  });

  await ui.step("from what was refused to the request itself, and back", async () => {
    await ui.open(page, "/ui/t/acme/sources/github");
    await main.getByText(t("sources.do.signature", { provider: "GitHub" })).waitFor();
    await button(t("sources.req.look")).click();
    const kept = page.getByRole("grid", { name: t("sources.req.title") });
    await until("only what was refused is shown", async () => (await kept.locator("[data-at]").count()) === 1);
    await kept.getByText("push", { exact: true }).waitFor(); // as GitHub's header says
    await kept.getByRole("row").filter({ hasText: "push" }).click();
    await page.waitForURL("**/ui/bins/**");
    await detail.getByText(t("bins.refused.why", { why: t("bins.refused.bad_signature") })).waitFor();
    await ui.axe(page);
    await main.getByRole("link", { name: "github", exact: true }).click();
    await page.waitForURL("**/ui/t/acme/sources/github?tab=requests");
  });

  await ui.step("a provider that takes any secret: it is found by Enter, and one is made", async () => {
    await ui.open(page, "/ui/t/acme/sources/-/new");
    await main.getByText(t("sources.provider.often"), { exact: true }).waitFor();
    await main.getByRole("searchbox").fill("github");
    await page.keyboard.press("Enter");
    await main.getByRole("group", { name: t("sources.provider") }).getByText("GitHub", { exact: true }).waitFor();
    assert.match(page.url(), /\/new$/, "Enter sent the form");
    await button(t("sources.secret.random")).click();
    await reads("a secret is there", () => page.getByRole("textbox", { name: new RegExp(`^${t("sources.secret")}`) }).inputValue(), /^[0-9a-f]{48}$/);
    await button(t("sources.provider.other")).click();
    await main.getByRole("searchbox").waitFor();
  });

  await ui.step("a new source: the provider, the address to give it", async () => {
    await ui.open(page, "/ui/t/acme/sources/-/new");
    await main.getByRole("searchbox").first().fill("stripe");
    await main.getByText("Stripe", { exact: true }).first().click();
    await page.getByRole("textbox", { name: new RegExp(`^${t("sources.name")}`) }).fill("payments");
    const secret = page.getByRole("textbox", { name: new RegExp(`^${t("sources.secret")}`) });
    await secret.first().fill("whsec_test_0123456789abcdef");
    await ui.axe(page);
    await main.locator("form button[type=submit]").click();
    await page.waitForURL("**/sources/payments**");
    await main.getByText(`${ui.base}/in/acme/payments`).first().waitFor();
  });

  await ui.step("a bin is deleted after its name was typed", async () => {
    await ui.open(page, `/ui/bins/${bin.id}`);
    const name = bin.id.slice(0, 8);
    await page.getByRole("heading", { level: 1, name }).waitFor();
    await button(t("common.more")).first().click();
    await page.getByRole("menuitem", { name: t("bins.delete") }).click();
    const sure = page.getByRole("dialog", { name: t("bins.delete") });
    await until("its name is asked for", () => sure.getByRole("button", { name: t("bins.delete") }).isDisabled());
    await sure.getByRole("textbox").fill(name);
    await sure.getByRole("button", { name: t("bins.delete") }).click();
    await page.waitForURL(/\/ui\/bins$/);
  });
});
