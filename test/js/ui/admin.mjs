// Tenants, API keys, the audit log, sessions, the catalogue, the portal's settings: what an administrator does.
import assert from "node:assert/strict";
import { flow, until } from "./harness.mjs";
import { seed } from "./seed.mjs";
import { like, t } from "./texts.mjs";

await flow("admin", async (ui) => {
  await seed(ui);
  const page = await ui.page();
  const main = page.getByRole("main");
  const button = (name) => page.getByRole("button", { name, exact: true });
  const row = (text) => page.getByRole("grid").getByRole("row").filter({ hasText: text });
  const labelled = (within, key) => within.getByRole("textbox", { name: new RegExp(`^${t(key)}`) });

  await ui.step("a tenant is made, limited, and deleted after its name was typed", async () => {
    await ui.open(page, "/ui/tenants");
    await button(t("admin.tenants.new")).click();
    const form = page.getByRole("dialog");
    await labelled(form, "admin.tenants.name").fill("initech");
    await ui.axe(page);
    await form.locator("button[type=submit]").click();
    await page.waitForURL("**/ui/tenants/initech**");
    const rate = page.getByLabel(t("admin.tenant.rate"));
    await rate.fill("25");
    await page.getByRole("button", { name: t("common.save"), exact: true }).click();
    await ui.told(page, t("admin.tenant.saved", { name: "initech" }));
    assert.equal((await ui.api("GET", "/v1/tenants/initech")).publish_rate, 25);
    await button(t("common.more")).first().click();
    await page.getByRole("menuitem", { name: `${t("admin.tenant.delete")}…` }).click();
    const sure = page.getByRole("dialog", { name: t("admin.tenant.delete.title", { name: "initech" }) });
    await until("its name is asked for", () => sure.locator("button[type=submit]").isDisabled());
    await sure.getByRole("textbox").fill("initech");
    await sure.locator("button[type=submit]").click();
    await page.waitForURL(/\/ui\/tenants$/);
    await row("acme").waitFor();
    await until("it is not on the list", async () => (await row("initech").count()) === 0);
    await page.getByRole("searchbox").fill("trial");
    await until("it is searched in descriptions", async () => (await page.getByRole("grid").locator("[data-at]").count()) === 1);
    await page.getByRole("link", { name: t("admin.tenants.openOf", { name: "globex" }), exact: true }).click();
    await page.waitForURL("**/ui/t/globex/overview");
  });

  await ui.step("a key is made and shown once, rotated with an overlap, revoked", async () => {
    const status = async (key) => (await fetch(`${ui.base}/v1/tenants/acme/events`, { headers: { Authorization: `Bearer ${key}` } })).status;
    const shown = async () => (await page.getByRole("dialog").innerText()).match(/ph_\w+/)[0];
    await ui.open(page, "/ui/apikeys");
    await button(t("admin.apikeys.new")).click();
    const form = page.getByRole("dialog");
    await labelled(form, "admin.apikeys.name").fill("Made in the browser");
    await labelled(form, "shell.tenant").or(form.getByRole("combobox", { name: new RegExp(`^${t("shell.tenant")}`) })).first().fill("acme");
    await form.getByRole("checkbox", { name: t("admin.may.read.label") }).check();
    await ui.axe(page);
    await form.locator("button[type=submit]").click();
    await page.getByText(t("admin.apikeys.shown.once")).waitFor();
    const first = await shown();
    assert.equal(await status(first), 200);
    await button(t("admin.apikeys.shown.done")).click();
    await row("Made in the browser").waitFor();
    assert.ok(!(await main.innerText()).includes(first), "the key is still shown");
    const menu = async (item) => {
      await page.getByRole("button", { name: t("admin.apikeys.actionsOf", { name: "Made in the browser" }) }).click();
      await page.getByRole("menuitem", { name: item, exact: true }).click();
    };
    await menu(`${t("admin.apikeys.rotate")}…`);
    await page.getByRole("dialog").locator("button[type=submit]").click();
    await page.getByText(t("admin.apikeys.shown.once")).waitFor();
    const second = await shown();
    assert.notEqual(second, first);
    assert.deepEqual([await status(first), await status(second)], [200, 200]);
    await button(t("admin.apikeys.shown.done")).click();
    await page.getByRole("searchbox").fill(second); // whose key is this?
    await until("it is found by the whole key", async () => (await page.getByRole("grid").locator("[data-at]").count()) === 1);
    assert.ok(!page.url().includes(second), "the key is in the address");
    await menu(`${t("admin.apikeys.revoke")}…`);
    const sure = page.getByRole("dialog", { name: t("admin.apikeys.revoke.title", { name: "Made in the browser" }) });
    await sure.getByRole("textbox").fill("Made in the browser");
    await sure.locator("button[type=submit]").click();
    await ui.told(page, t("admin.apikeys.revoked", { name: "Made in the browser" }));
    assert.deepEqual([await status(first), await status(second)], [401, 401]);
  });

  await ui.step("the audit log: who did what, from what to what; secrets are not in it", async () => {
    const { data } = await ui.api("GET", "/v1/tenants/acme/endpoints");
    const changed = data.find((e) => e.description === "Accounting"); // ids are random, and other steps look for other ones
    const key = await ui.api("POST", "/v1/apikeys", { name: "For the audit log", tenant: "acme", allow: ["read"] });
    await ui.api("POST", `/v1/apikeys/${key.id}/rotate`, {});
    await ui.api("DELETE", `/v1/apikeys/${key.id}`);
    await ui.api("PATCH", `/v1/tenants/acme/endpoints/${changed.id}`, { description: "Changed for the audit log" });
    await ui.open(page, "/ui/audit");
    await row(t("admin.action.patch-endpoint")).first().click();
    await page.getByText("Changed for the audit log").first().waitFor();
    await ui.axe(page);
    await page.keyboard.press("Escape");
    await ui.open(page, "/ui/audit");
    for (const action of ["delete-apikey", "rotate-apikey", "create-apikey"]) await row(t(`admin.action.${action}`)).first().waitFor();
    assert.doesNotMatch(JSON.stringify(await ui.api("GET", "/v1/audit?limit=200")), /whsec_|a-secret-that-github-knows-too|a-long-random-token|ph_\w{20}/, "a secret is on the audit log");
  });

  await ui.step("where one is logged in; another browser is logged out", async () => {
    const other = await ui.page();
    await ui.open(page, "/ui/sessions");
    await page.getByText(t("admin.sessions.current")).first().waitFor();
    await ui.axe(page);
    await other.context().close();
  });

  await ui.step("the catalogue: a type with a schema and examples, and who takes it", async () => {
    await ui.open(page, "/ui/t/acme/types");
    await row("order.paid").click();
    await page.getByRole("heading", { level: 1, name: "order.paid" }).waitFor();
    await main.getByText("currency").first().waitFor();
    await main.getByText("1290.00").first().waitFor();
    await main.getByText("Shop: orders").first().waitFor();
    await until("no endpoint takes it that does not", async () => (await main.getByText("Nobody listens here").count()) === 0);
    await ui.open(page, "/ui/t/acme/types/-/new");
    await labelled(main, "types.name").fill("parcel.shipped");
    await main.locator("form button[type=submit]").first().click();
    await page.waitForURL("**/types/parcel.shipped**");
    assert.ok((await ui.api("GET", "/v1/tenants/acme/event-types")).data.some((x) => x.name === "parcel.shipped"));
  });

  await ui.step("the portal's looks are saved, and a link is made that opens it", async () => {
    await ui.open(page, "/ui/t/acme/portal");
    await labelled(main, "portal.name").fill("Acme for its customers");
    await button(t("common.save")).click();
    await ui.told(page, t("portal.saved"));
    assert.equal((await ui.api("GET", "/v1/tenants/acme/portal")).name, "Acme for its customers");
    await button(t("portal.link.make")).click();
    await page.getByRole("group", { name: t("portal.link.made") }).waitFor();
    await ui.axe(page);
    const url = (await main.innerText()).match(/https?:\/\/\S+#\S*token=[\w.-]+/)?.[0] ?? (await page.getByRole("link", { name: t("portal.link.open") }).getAttribute("href"));
    const visitor = await ui.page({ key: null });
    await visitor.goto(url);
    await visitor.getByText("Acme for its customers").first().waitFor();
    await visitor.getByText("Shop: orders").first().waitFor();
    await visitor.context().close();
    assert.match(await main.innerText(), like("portal.link.once"));
  });
});
