// Events: the live tail, search, and an event's page with what became of it.
import assert from "node:assert/strict";
import { becomes, flow, reads, until } from "./harness.mjs";
import { seed } from "./seed.mjs";
import { like, t } from "./texts.mjs";

const T = "/v1/tenants/acme";

await flow("events", async (ui) => {
  const { endpoints } = await seed(ui);
  const page = await ui.page();
  const main = page.getByRole("main");
  const grid = page.getByRole("grid", { name: t("events.title") });
  const button = (name) => page.getByRole("button", { name, exact: true });
  const search = page.getByRole("searchbox");
  const publish = (events) => ui.api("POST", `${T}/events`, events);
  const rows = () => grid.locator("[data-at]").count();
  const subjects = (text) => grid.getByText(text, { exact: true });

  await ui.step("what is published shows at once, newest on top", async () => {
    await ui.open(page, "/ui/t/acme/events");
    await page.getByRole("status").filter({ hasText: "Live" }).first().waitFor();
    await page.evaluate(() => (window.same = true));
    await publish({ type: "order.paid", subject: "order/fresh-1", data: { order: "9001", total: "5.00" } });
    await subjects("order/fresh-1").waitFor();
    await reads("it is on top", () => grid.locator("[data-at='0']").innerText(), /order\/fresh-1/);
  });

  await ui.step("the list says of each whether it arrived", async () => {
    await ui.api("POST", `${T}/endpoints`, { url: `${endpoints.receiver.url}/parcels`, types: ["parcel.*"] });
    await publish([{ type: "parcel.sent", subject: "parcel/1", data: {} }, { type: "nobody.cares", subject: "nobody/1", data: {} }]);
    const line = (text) => grid.locator("[data-at]").filter({ hasText: text });
    await line("parcel/1").getByText(t("events.arrived.full", { n: 1, done: "1", state: t("common.state.delivered") })).waitFor();
    await line("nobody/1").getByText(t("events.arrived.nobody")).waitFor();
  });

  await ui.step("where it arrived is not asked while the server wants rest; of an event that is kept no more nothing is known", async () => {
    const own = await ui.page();
    const line = (text) => own.getByRole("grid").locator("[data-at]").filter({ hasText: text });
    let busy = true;
    let asked = 0;
    await own.route("**/events/*/deliveries**", (route) => {
      asked++;
      return busy ? route.fulfill({ status: 503, headers: { "Retry-After": "600" }, json: { code: "unavailable" } }) : route.fulfill({ status: 404, json: { code: "not_found" } });
    });
    await ui.expecting(503, /deliveries$/, () => ui.expecting(404, /deliveries$/, async () => {
      await own.clock.install();
      await ui.open(own, "/ui/t/acme/events");
      await until("it is asked", () => asked > 0);
      await own.clock.runFor(3000);
      const first = asked;
      assert.ok(first <= 3, `asked ${first} times at once`);
      await own.clock.runFor(60_000);
      assert.equal(asked, first, "it is asked again before the time that the server named");
      busy = false;
      await own.clock.runFor(600_000);
      await line("nobody/1").getByText(t("events.arrived.unknown")).waitFor();
      await own.context().close();
    }));
  });

  await ui.step("while the arrows choose a row the list stands still", async () => {
    await search.focus();
    await page.keyboard.press("ArrowDown"); // from the search to the list
    await page.keyboard.press("ArrowDown");
    const chosen = () => grid.evaluate((e) => document.getElementById(e.getAttribute("aria-activedescendant") ?? "")?.innerText);
    await until("a row is chosen", chosen);
    const before = await grid.getAttribute("aria-activedescendant");
    await publish({ type: "order.paid", subject: "order/while", data: { order: "9004", total: "5.00" } });
    const pill = page.getByRole("button", { name: t("events.new", { n: 1 }) });
    await pill.waitFor();
    assert.equal(await grid.getAttribute("aria-activedescendant"), before, "the chosen row has moved");
    assert.equal(await subjects("order/while").count(), 0);
    await page.keyboard.press("t");
    await subjects("order/while").waitFor();
    await pill.waitFor({ state: "hidden" });
  });

  await ui.step("paused it stands still and counts; resumed nothing is missing", async () => {
    await button(t("events.pause")).click();
    await publish([1, 2, 3].map((n) => ({ type: "order.paid", subject: `order/later-${n}`, data: { order: "9002", total: "5.00" } })));
    await page.getByRole("button", { name: t("events.new", { n: 3 }) }).waitFor();
    assert.equal(await subjects("order/later-1").count(), 0, "the list moves while it is paused");
    await ui.axe(page);
    await page.getByRole("button", { name: t("events.new", { n: 3 }) }).click();
    for (const n of [1, 2, 3]) await subjects(`order/later-${n}`).waitFor();
    if (await button(t("events.resume")).isVisible()) await button(t("events.resume")).click();
    await publish({ type: "order.paid", subject: "order/last", data: { order: "9003", total: "5.00" } });
    await subjects("order/last").waitFor();
    assert.equal(await page.evaluate(() => window.same), true);
  });

  await ui.step("searched by text, type, subject, id, version", async () => {
    const only = async (query, text, n) => {
      await search.fill(query);
      await until(`${query} finds ${n}`, async () => !(await grid.getAttribute("aria-busy").then((b) => b === "true")) && (await rows()) === n && (await grid.innerText()).includes(text));
      await until("the search is in the address", () => /[?&]q=/.test(page.url()));
    };
    await only("order/1021", "order/1021", 1);
    await only("type:order.paid subject:order/later-*", "order/later-3", 3);
    await only("seed-7", "order/1007", 1);
    await only("id:seed-12", "order/1012", 1);
    await only("#1", "order/1000", 1);
    await only("id:seed-12", "order/1012", 1);
    await search.press("Enter");
    await page.waitForURL("**/events/seed-12"); // the only one is opened
    await page.goBack();
    await only("#1", "order/1000", 1);
    await page.reload();
    await until("the search is kept", async () => (await rows()) === 1);
    await search.fill("nothing like this anywhere");
    await page.getByText(t("events.nothing"), { exact: true }).waitFor();
    await ui.axe(page);
    await page.getByRole("button", { name: t("events.clearAll") }).first().click();
    await until("all are back", async () => (await rows()) > 10);
  });

  await ui.step("filtered by an expression; a wrong one is told at its field", async () => {
    await page.getByRole("button", { name: new RegExp(`^${t("events.filters")}`) }).click();
    const cel = page.getByLabel(t("events.filter.cel"));
    await cel.fill('type == "order.paid" && double(data.total) > 2000.0');
    await cel.press("Enter");
    await until("only large orders are left", async () => (await rows()) > 0 && (await rows()) < 10 && !(await grid.innerText()).includes("order.created"));
    await ui.expecting(422, /\/(events|stream)$/, async () => {
      await cel.fill("data.total >");
      await cel.press("Enter");
      await until("the field is marked", async () => (await cel.getAttribute("aria-invalid")) === "true");
      await page.getByText(t("events.filter.end")).waitFor();
    });
    await ui.axe(page);
    await cel.fill("");
    await cel.press("Enter");
    const types = page.getByRole("combobox", { name: t("events.filter.types"), exact: false });
    await types.fill("invoice.*");
    await types.press("Enter");
    await until("only invoices are left", async () => (await rows()) > 5 && !/order\.|customer\./.test(await grid.innerText()));
    await until("the type is in the address", () => /types=/.test(page.url()));
  });

  await ui.step("by a time picked on the histogram", async () => {
    await ui.open(page, "/ui/t/acme/events");
    await page.getByRole("button", { name: t("events.range.pick") }).click();
    const dialog = page.getByRole("dialog", { name: t("events.range.title") });
    await dialog.getByText(like("events.range.count")).waitFor();
    await ui.axe(page);
    const to = dialog.getByRole("slider", { name: t("common.range.to") });
    await to.focus();
    await page.keyboard.press("PageDown");
    await dialog.getByRole("button", { name: t("events.range.apply") }).click();
    await until("the range is in the address", () => /until=/.test(page.url()));
    await page.getByText(t("events.hint.past")).waitFor();
  });

  await ui.step("a row leads to the event and back to the place", async () => {
    await ui.open(page, "/ui/t/acme/events?q=order%2F1021");
    await grid.locator("[data-at='0']").click();
    await page.waitForURL("**/events/seed-21");
    await page.getByRole("heading", { level: 1, name: "order.paid" }).waitFor();
    await page.goBack();
    await until("the search is back", async () => (await search.inputValue()) === "order/1021");
  });

  await ui.step("an event's life: each endpoint, each try, its answer", async () => {
    await ui.open(page, "/ui/t/acme/events/seed-21");
    const life = page.getByRole("list", { name: t("events.life") });
    await life.getByText("Shop: orders").waitFor();
    const shop = life.getByRole("listitem").filter({ hasText: "Shop: orders" }).first();
    await shop.getByText("Delivered", { exact: true }).waitFor();
    await shop.getByRole("button", { name: like("events.try.name") }).first().click();
    await shop.getByText('"received"').waitFor();
    const crm = life.getByRole("listitem").filter({ hasText: "CRM" }).first();
    await reads("what waits says so", () => crm.innerText(), /Retrying|Waiting|Penalised|Pending|Failed/);
    await page.getByText(t("events.others.show"), { exact: true }).last().click();
    await page.getByRole("list", { name: t("events.others") }).getByText("127.0.0.1:9/hook").waitFor();
    await ui.axe(page);
  });

  await ui.step("of very many endpoints a few are shown, and any is found", async () => {
    await ui.api("POST", "/v1/tenants", { name: "crowd" });
    for (let n = 0; n < 16; n++) await ui.api("POST", "/v1/tenants/crowd/endpoints", { url: `${endpoints.receiver.url}/crowd/${n}`, description: `Customer ${n}.`, types: ["crowd.*"] });
    const made = await ui.api("POST", "/v1/tenants/crowd/events", { type: "crowd.called", subject: `crowd/${"long-".repeat(98)}`, data: {} });
    await ui.open(page, `/ui/t/crowd/events/${made.id}`);
    await page.getByText(like("events.verdict.all")).waitFor();
    const lanes = page.getByRole("list", { name: t("events.life") });
    await until("twelve are shown", async () => (await lanes.locator("> li").count()) === 12);
    await page.keyboard.press("/");
    await page.keyboard.type("customer 15.");
    await until("one is found", async () => (await lanes.locator("> li").count()) === 1 && (await lanes.innerText()).includes("Customer 15."));
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: t("events.lanes.more", { n: 4 }) }).click();
    await until("all are shown", async () => (await lanes.locator("> li").count()) === 16);
    await ui.fits(page);
    await ui.axe(page);
  });

  await ui.step("its data as a tree and as published, byte for byte", async () => {
    await ui.open(page, "/ui/t/acme/events/seed-3");
    const tree = page.getByRole("tree").first();
    await tree.getByText("Brno").waitFor();
    await tree.focus().catch(() => {});
    await page.getByRole("radiogroup", { name: t("events.data.view") }).getByText(t("events.data.raw")).click();
    const raw = await page.getByRole("region", { name: t("events.data"), exact: true }).locator("pre").or(page.locator(`pre[aria-label="${t("events.data")}"]`)).first().innerText();
    const published = '{"customer":"山田太郎","consents":{"mail":true,"post":false},"addresses":[{"city":"Brno","zip":"60200"}]}';
    assert.equal(raw, published);
  });

  await ui.step("copied as curl, which does the same from a terminal", async () => {
    await button(t("common.curl")).click();
    await page.getByRole("menuitem", { name: t("events.curl.read") }).click();
    const text = await page.getByRole("dialog").locator("pre").innerText();
    assert.match(text, /^curl /);
    assert.ok(text.includes("$POSTHORN_KEY") && !text.includes(ui.key), "the key is in the command");
    assert.ok(text.includes(`${ui.base}/v1/tenants/acme/events/seed-3`), text);
    await page.getByRole("dialog").getByRole("button", { name: t("common.copy") }).click();
    await until("it is on the clipboard", async () => (await page.evaluate(() => navigator.clipboard.readText())) === text);
    await page.keyboard.press("Escape");
  });

  await ui.step("resent to one endpoint", async () => {
    await ui.open(page, "/ui/t/acme/events/seed-21");
    await page.getByRole("list", { name: t("events.life") }).getByText("Shop: orders").waitFor();
    const came = () => endpoints.receiver.requests.filter((r) => r.path === "/shop" && r.headers["webhook-id"] === "seed-21").length;
    const before = came();
    await button(t("events.resend")).click();
    const dialog = page.getByRole("dialog", { name: t("events.resend.title") });
    await dialog.getByLabel(t("events.resend.to"), { exact: true }).selectOption(endpoints.shop.id);
    await ui.axe(page);
    await dialog.getByRole("button", { name: t("events.resend") }).click();
    await ui.told(page, t("events.resent", { n: 1 }));
    await becomes("it has come again", () => came(), before + 1);
    const tries = page.getByRole("list", { name: t("events.life") }).getByRole("listitem").filter({ hasText: "Shop: orders" }).first().getByRole("button", { name: like("events.try.name") });
    await becomes("the page shows the second try by itself", () => tries.count(), 2);
  });

  await ui.step("an event that came by a source shows the request; one that is binary its bytes", async () => {
    await ui.open(page, "/ui/t/acme/events?q=type%3Agithub.push");
    await grid.locator("[data-at='0']").click();
    await page.getByRole("heading", { name: t("events.origin") }).waitFor();
    await main.getByText("X-GitHub-Event").first().waitFor();
    const made = await ui.api("POST", `${T}/events`, { type: "order.scanned", datacontenttype: "image/png", data_base64: Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 255]).toString("base64") });
    await ui.open(page, `/ui/t/acme/events/${made.id}`);
    await main.getByText("89 50 4e 47 00 ff").waitFor();
  });

  await ui.step("one is published by hand, checked against the catalogue", async () => {
    await ui.open(page, "/ui/t/acme/events");
    await button(t("events.publish")).click();
    const dialog = page.getByRole("dialog", { name: t("events.publish.title") });
    await dialog.getByLabel(t("events.column.type"), { exact: true }).fill("order.paid");
    const data = dialog.getByLabel(t("events.column.data"), { exact: true });
    await until("the example is offered", async () => (await data.inputValue()).includes("1290.00"));
    await data.fill('{"order": 7}');
    await ui.expecting(422, /\/events$/, async () => {
      await dialog.getByRole("button", { name: t("events.publish.send") }).click();
      await until("the schema's complaint is told", async () => (await dialog.getByText(/total|string|schema/i).count()) > 1);
    });
    await ui.axe(page);
    await data.fill('{"order": "by-hand", "total": "1.00"}');
    await dialog.getByRole("button", { name: t("events.publish.send") }).click();
    await dialog.waitFor({ state: "hidden" });
    assert.equal((await ui.api("GET", `${T}/events?limit=1`)).data[0].data.order, "by-hand");
  });

  await ui.step("without events the page teaches", async () => {
    await ui.open(page, "/ui/t/globex/events");
    await page.getByText(t("events.none"), { exact: true }).waitFor();
    await main.getByText("curl").first().waitFor();
    const command = await main.locator("pre").first().innerText();
    assert.ok(command.includes("/v1/tenants/globex/events"), command);
    await ui.axe(page);
  });
});
