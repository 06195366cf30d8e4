// Endpoints: a form that shows what it will send, a page that tells how it goes and puts it right.
import assert from "node:assert/strict";
import { becomes, flow, until } from "./harness.mjs";
import { seed } from "./seed.mjs";
import { like, t } from "./texts.mjs";

const T = "/v1/tenants/acme";

await flow("endpoints", async (ui) => {
  const { endpoints } = await seed(ui);
  const inbox = await ui.receiver((r) => ({ status: r.path.startsWith("/teapot") ? 418 : 200, body: `{"seen":${inbox?.requests.length}}`, headers: { "Content-Type": "application/json", "X-Answer": "from-the-receiver" } }));
  const page = await ui.page();
  const button = (name, options = {}) => page.getByRole("button", { name, exact: true, ...options });
  const dialog = (name) => page.getByRole("dialog", { name });
  const main = page.getByRole("main");
  const badge = (word) => main.locator("h1 + .badges, .badges").getByText(word, { exact: true });
  const nameField = new RegExp(`^${t("endpoints.form.description")}\\s*${t("common.optional")}`);
  const row = (text) => page.getByRole("grid").getByRole("row").filter({ hasText: text });
  const open = (e, tab = "") => ui.open(page, `/ui/t/acme/endpoints/${e.id}${tab && `?tab=${tab}`}`);

  await ui.step("the list tells each one's state and why", async () => {
    await ui.open(page, "/ui/t/acme/endpoints");
    for (const [name, word] of [["Shop: orders", "Live"], ["Nobody listens here", "Penalised"], ["Taken down last year", "Gone (410)"], ["Warehouse, in maintenance", "Paused"]]) {
      await row(name).getByText(word, { exact: true }).waitFor();
    }
    await page.getByRole("radiogroup").getByText("Disabled", { exact: true }).click();
    await until("only disabled ones are left", async () => (await row("Shop: orders").count()) === 0 && (await row("Taken down").count()) === 1);
    assert.match(page.url(), /lane=disabled/);
    await page.reload();
    await row("Taken down").waitFor();
    await becomes("the filter is kept in the address", () => row("Shop: orders").count(), 0);
  });

  let made;
  await ui.step("a form for people: address, events by checkbox, a filter by clicking, headers", async () => {
    await ui.open(page, "/ui/t/acme/endpoints");
    await page.getByRole("link", { name: t("endpoints.new") }).first().click();
    await page.getByRole("heading", { level: 1, name: t("endpoints.new") }).waitFor();
    await button(t("endpoints.create")).click();
    await becomes("an empty address is marked", () => page.getByLabel(t("endpoints.form.url")).getAttribute("aria-invalid"), "true");
    await page.getByLabel(t("endpoints.form.url")).fill("example.com/pasted");
    await page.getByLabel(t("endpoints.form.url")).press("Tab");
    await becomes("an address without its beginning gets one", () => page.getByLabel(t("endpoints.form.url")).inputValue(), "https://example.com/pasted");
    await page.getByLabel(t("endpoints.form.url")).fill(`${inbox.url}/hooks?team=blue`);
    await page.getByRole("textbox", { name: nameField }).fill("Made by hand");
    await page.getByRole("radio", { name: t("endpoints.form.what.chosen") }).check();
    await page.getByRole("checkbox", { name: "order.paid" }).check();
    await unfold("endpoints.form.only");
    await button(t("endpoints.form.filter.add")).click();
    const condition = page.getByRole("group", { name: t("endpoints.form.filter.row", { n: 1 }) });
    await condition.getByLabel(t("endpoints.form.filter.field")).fill("customer");
    await condition.getByLabel(t("endpoints.form.filter.field")).press("Tab");
    await condition.getByLabel(t("endpoints.form.filter.op")).selectOption({ label: t("endpoints.op.contains") });
    await condition.getByLabel(t("endpoints.form.filter.value")).fill("Ada");
    await main.getByText(like("endpoints.form.matched")).waitFor();
    await unfold("endpoints.form.headers.title");
    await button(t("endpoints.form.headers.add")).click();
    await page.getByLabel(t("common.pair.nameOf", { n: 1, what: t("endpoints.form.headers") })).fill("X-Team");
    await page.getByLabel(t("common.pair.valueOf", { n: 1, what: t("endpoints.form.headers") })).fill("blue");
  });

  await ui.step("the preview is the exact request, and a test shows the answer", async () => {
    const preview = page.getByRole("region", { name: t("endpoints.preview.title") });
    await preview.getByText("X-Team", { exact: true }).waitFor();
    await preview.getByText("/hooks?team=blue").waitFor();
    await preview.getByText(like("endpoints.preview.rest")).click();
    await preview.getByText("webhook-id").waitFor();
    await until("the body is shown", async () => (await preview.getByText("Ada Lovelace").count()) > 0);
    await ui.settled(page); // what is shown is of the whole form
    const shown = await preview.locator("pre").innerText();
    await button(t("endpoints.try")).click();
    const answer = page.getByRole("region", { name: t("endpoints.try.answer") });
    await answer.getByText("200").first().waitFor();
    await answer.getByText('"seen"').waitFor();
    await preview.getByText(t("endpoints.preview.raw"), { exact: true }).click();
    const exact = await preview.getByRole("group", { name: t("endpoints.preview.title") }).innerText();
    assert.match(exact, /^POST \/hooks\?team=blue HTTP\/1\.1\n/);
    assert.match(exact, /\nX-Team: blue\n/i);
    const [request] = inbox.requests;
    assert.equal(request.method, "POST");
    assert.equal(request.path, "/hooks?team=blue");
    assert.equal(request.headers["x-team"], "blue");
    assert.deepEqual(JSON.parse(request.body).data, JSON.parse(shown).data, "another body was sent than shown");
    await ui.axe(page);
  });

  await ui.step("a form with changes is not left without a question", async () => {
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Queues", exact: true }).click();
    await dialog(t("common.leave")).getByRole("button", { name: t("common.leave.no") }).click();
    assert.equal(await page.getByRole("textbox", { name: nameField }).inputValue(), "Made by hand");
  });

  await ui.step("it is saved, its secret is shown, and it gets what its filter takes", async () => {
    await button(t("endpoints.create")).click();
    await page.getByRole("heading", { level: 1, name: t("endpoints.created") }).waitFor();
    await page.getByText(/^whsec_/).first().waitFor();
    await ui.axe(page);
    await page.getByRole("link", { name: t("endpoints.created.open") }).click();
    await page.getByRole("heading", { level: 1, name: "Made by hand" }).waitFor();
    made = { id: page.url().match(/ep_\w+/)[0] };
    const saved = await ui.api("GET", `${T}/endpoints/${made.id}`);
    assert.deepEqual(saved.types, ["order.paid"]);
    assert.match(saved.filter, /data\.customer.*Ada/);
    inbox.requests.length = 0;
    await ui.api("POST", `${T}/events`, [
      { type: "order.paid", data: { order: "1", total: "1.00", customer: "Jan Novák" } },
      { type: "order.created", data: { customer: "Ada Lovelace" } },
      { type: "order.paid", data: { order: "2", total: "2.00", customer: "Ada Lovelace" } },
    ]);
    await until("one has come", () => inbox.requests.length > 0);
    await page.getByRole("grid", { name: t("endpoints.attempts") }).getByText("Delivered").first().waitFor(); // by itself
    assert.deepEqual(inbox.requests.map((r) => JSON.parse(r.body).data.order), ["2"]);
  });

  await ui.step("it is changed; who changes it meanwhile is not overwritten", async () => {
    const other = await page.context().newPage();
    await ui.open(other, `/ui/t/acme/endpoints/${made.id}/edit`);
    await ui.open(page, `/ui/t/acme/endpoints/${made.id}/edit`);
    await page.getByRole("textbox", { name: nameField }).fill("Changed by hand");
    await button(t("common.save")).click();
    await page.getByRole("heading", { level: 1, name: "Changed by hand" }).waitFor();
    await other.getByRole("textbox", { name: nameField }).fill("Too late");
    await ui.expecting(412, /\/endpoints\//, async () => {
      await other.getByRole("button", { name: t("common.save"), exact: true }).click();
      await other.getByText(t("endpoints.form.conflict", { fields: t("endpoints.form.description") })).waitFor();
    });
    assert.equal((await ui.api("GET", `${T}/endpoints/${made.id}`)).description, "Changed by hand");
    await ui.api("PATCH", `${T}/endpoints/${made.id}`, { timeout: "7s" });
    await ui.expecting(412, /\/endpoints\//, async () => { // what is there now has changed once more
      await other.getByRole("button", { name: t("endpoints.form.conflict.mine") }).click();
      await other.getByText(t("endpoints.form.back")).waitFor();
      await becomes("what was typed is kept", () => other.getByRole("textbox", { name: nameField }).inputValue(), "Too late");
      await other.getByRole("button", { name: t("common.save"), exact: true }).click();
      await other.getByText(t("endpoints.form.conflict", { fields: t("endpoints.form.timeout") })).waitFor();
    });
    await other.getByRole("button", { name: t("endpoints.form.conflict.mine") }).click();
    await other.getByText(t("endpoints.form.back")).waitFor();
    await other.getByRole("button", { name: t("common.save"), exact: true }).click();
    await other.getByRole("heading", { level: 1, name: "Too late" }).waitFor();
    const both = await ui.api("GET", `${T}/endpoints/${made.id}`);
    assert.deepEqual([both.description, both.timeout], ["Too late", "7s"], "one of the two changes is lost");
    await other.close();
    await ui.api("PATCH", `${T}/endpoints/${made.id}`, { description: "Changed by hand" });
  });

  await ui.step("what the server refuses is told at its field", async () => {
    await ui.open(page, "/ui/t/acme/endpoints/new");
    await ui.expecting(422, /\/endpoints(\/preview)?$/, async () => { // the preview is refused while it is typed
      await page.getByLabel(t("endpoints.form.url")).fill("http://10.1.2.3/internal");
      await unfold("endpoints.form.only");
      await button(t("endpoints.form.filter.write")).click();
      await page.getByLabel(t("endpoints.form.filter.text")).fill("data.total >");
      await button(t("endpoints.create")).click();
      await until("the filter is marked", async () => (await page.getByLabel(t("endpoints.form.filter.text")).getAttribute("aria-invalid")) === "true");
      const note = page.getByRole("alert").filter({ hasText: t("common.error.fields") });
      await page.getByRole("button", { name: t("endpoints.form.only") }).click(); // folded over the marked field
      await page.getByLabel(t("endpoints.form.filter.text")).waitFor({ state: "hidden" });
      await note.getByRole("button", { name: t("endpoints.form.filter.text"), exact: true }).click(); // the note leads to it
      await until("the filter has the focus", () => page.getByLabel(t("endpoints.form.filter.text")).evaluate((e) => e === document.activeElement));
      await page.getByLabel(t("endpoints.form.filter.text")).fill("");
      await page.getByLabel(t("endpoints.form.url")).fill("");
      await ui.settled(page);
    });
  });

  await ui.step("a form outlives the session: after the log-in it is as it was", async () => {
    const own = await ui.page();
    await ui.open(own, "/ui/t/acme/endpoints/new");
    await own.getByLabel(t("endpoints.form.url")).fill(`${inbox.url}/typed`);
    await own.getByRole("textbox", { name: nameField }).fill("Typed before the end");
    await ui.settled(own);
    await own.context().clearCookies();
    await ui.expecting(401, /^\/v1\//, async () => {
      await own.getByRole("button", { name: t("endpoints.create"), exact: true }).click();
      await own.waitForURL(/\/ui\/login/);
      await ui.settled(own);
    });
    await own.getByLabel(t("login.key"), { exact: true }).fill(ui.key);
    await own.keyboard.press("Enter");
    await own.getByText(t("endpoints.form.back")).waitFor();
    assert.equal(await own.getByLabel(t("endpoints.form.url")).inputValue(), `${inbox.url}/typed`);
    assert.equal(await own.getByRole("textbox", { name: nameField }).inputValue(), "Typed before the end");
    await own.context().close();
  });

  await ui.step("whoever logs out in another tab leaves nothing of a form", async () => {
    const own = await ui.page();
    await ui.open(own, "/ui/t/acme/endpoints/new");
    await own.getByLabel(t("endpoints.form.url")).fill(`${inbox.url}/left`);
    await ui.settled(own);
    const other = await own.context().newPage();
    await ui.open(other, "/ui/t/acme/endpoints");
    await ui.expecting(401, /^\/v1\//, async () => {
      await other.getByRole("button", { name: /^Account/ }).click();
      await other.getByRole("menuitem", { name: t("shell.logout"), exact: true }).click();
      await own.waitForURL(/\/ui\/login/);
      await ui.settled(own);
    });
    assert.equal(await own.evaluate(() => sessionStorage.getItem("posthorn.form")), null);
    await own.context().close();
  });

  await ui.step("pause and resume", async () => {
    await open(endpoints.shop);
    await button(t("endpoints.pause")).click();
    await badge("Paused").waitFor();
    assert.equal((await ui.api("GET", `${T}/endpoints/${endpoints.shop.id}`)).disabled, true);
    await button(t("endpoints.resume")).click();
    await badge("Live").waitFor();
  });

  await ui.step("attempts are narrowed, and one is opened", async () => {
    await open(endpoints.failing);
    const attempts = page.getByRole("grid", { name: t("endpoints.attempts") });
    await attempts.getByText("500").first().waitFor();
    await page.getByLabel(t("endpoints.attempts.status"), { exact: true }).selectOption("2xx");
    await page.getByText(t("endpoints.attempts.none.filtered")).waitFor();
    await page.getByLabel(t("endpoints.attempts.status"), { exact: true }).selectOption("5xx");
    await attempts.getByText("500").first().click();
    const one = page.getByRole("dialog");
    await one.getByText("<h1>Internal error</h1>").waitFor();
    await ui.axe(page);
    await page.keyboard.press("Escape");
    await one.waitFor({ state: "hidden" });
  });

  await ui.step("a penalty is reset", async () => {
    await open(endpoints.dead);
    await badge("Penalised").waitFor();
    const before = await attemptsOf(endpoints.dead);
    await button(t("endpoints.reset")).click();
    await ui.told(page, t("endpoints.did.retry"));
    await until("it is tried again", async () => (await attemptsOf(endpoints.dead)) > before);
  });

  await ui.step("a test event, and its answer", async () => {
    await open(endpoints.shop);
    await button(t("endpoints.try")).click();
    const test = dialog(t("endpoints.try"));
    await test.getByLabel(t("endpoints.test.data")).fill("{not json");
    await test.getByText(t("endpoints.test.noJson")).waitFor();
    await test.getByLabel(t("endpoints.test.data")).fill('{"order":"test"}');
    await test.getByRole("button", { name: t("endpoints.test.send") }).click();
    await test.getByText("200").first().waitFor();
    await page.keyboard.press("Escape");
  });

  await ui.step("a test that nobody answers says why", async () => {
    await open(endpoints.dead);
    await button(t("endpoints.try")).click();
    const test = dialog(t("endpoints.try"));
    await test.getByRole("button", { name: t("endpoints.test.send") }).click();
    await test.getByText(t("endpoints.tip.none.refused")).waitFor();
    await page.keyboard.press("Escape");
  });

  await ui.step("the secret is shown and rotated", async () => {
    await open(endpoints.shop, "secret");
    const { secret } = await ui.api("GET", `${T}/endpoints/${endpoints.shop.id}/secret`);
    assert.ok(!(await main.innerText()).includes(secret), "the secret is shown before it is asked for");
    await button(t("endpoints.secret.show")).click();
    await main.getByText(secret, { exact: true }).first().waitFor();
    await button(t("endpoints.secret.rotate")).click();
    await dialog(t("endpoints.secret.rotate")).getByRole("button", { name: t("endpoints.secret.rotate") }).click();
    await page.getByRole("heading", { name: t("endpoints.secret.previous") }).waitFor();
    const now = await ui.api("GET", `${T}/endpoints/${endpoints.shop.id}/secret`);
    assert.notEqual(now.secret, secret);
    assert.equal(now.previous[0].secret, secret);
  });

  await ui.step("a replay: a range, the count before, the progress, the end", async () => {
    await open(endpoints.shop, "replay");
    await page.getByRole("radio", { name: t("endpoints.replay.all") }).check();
    const count = main.getByText(like("endpoints.replay.count"));
    await count.waitFor();
    const all = Number((await count.innerText()).match(/\d+/)[0]);
    assert.ok(all > 20, `${all} events match`);
    const from = page.getByRole("slider", { name: t("common.range.from") });
    await from.focus();
    const before = await from.getAttribute("aria-valuenow");
    await page.keyboard.press("ArrowRight");
    await until("the arrow has moved the range", async () => (await from.getAttribute("aria-valuenow")) !== before);
    await page.keyboard.press("Home");
    await until("the count is that of all", async () => Number((await count.innerText()).match(/\d+/)?.[0]) === all);
    const got = endpoints.receiver.requests.length;
    await button(t("endpoints.replay.start")).click();
    const sure = dialog(t("endpoints.replay.title")); // all of them: some come twice
    await sure.getByText(like("endpoints.replay.twiceAll")).waitFor();
    await sure.getByRole("button", { name: t("endpoints.replay.start") }).click();
    await page.getByRole("progressbar").first().waitFor();
    await page.getByRole("list").getByText("Done", { exact: true }).first().waitFor();
    await until("all were sent again", () => endpoints.receiver.requests.length >= got + all);
    await ui.axe(page);
  });

  await ui.step("it is deleted after its name was typed", async () => {
    await open(made);
    await button(t("common.more")).click();
    await page.getByRole("menuitem", { name: t("common.delete") }).click();
    const sure = dialog(t("endpoints.delete"));
    const go = sure.getByRole("button", { name: t("endpoints.delete") });
    await until("its name is asked for", () => go.isDisabled());
    await sure.getByRole("textbox").fill(new URL(inbox.url).host);
    await ui.axe(page);
    await go.click();
    await page.waitForURL(/\/endpoints$/);
    await ui.settled(page);
    await row("Shop: orders").waitFor();
    await becomes("it is not on the list", () => row("Changed by hand").count(), 0);
    assert.ok(!(await ui.api("GET", `${T}/endpoints`)).data.some((e) => e.id === made.id));
  });

  await ui.step("without endpoints the page teaches", async () => {
    await ui.open(page, "/ui/t/globex/endpoints");
    await page.getByText(t("endpoints.none"), { exact: true }).waitFor();
    await main.getByText("curl").first().waitFor();
    await ui.axe(page);
  });

  async function attemptsOf(e) {
    return (await ui.api("GET", `${T}/endpoints/${e.id}/attempts?limit=500`)).data.length;
  }

  /** Opens a folded part of the form. */
  async function unfold(key) {
    const part = page.getByRole("button", { name: t(key) });
    if ((await part.getAttribute("aria-expanded")) === "false") await part.click();
  }
});
