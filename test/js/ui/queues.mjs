// Queues and streams: what waits, what was given up, who listens.
import assert from "node:assert/strict";
import { becomes, flow, until } from "./harness.mjs";
import { listeners, seed } from "./seed.mjs";
import { t } from "./texts.mjs";

const T = "/v1/tenants/acme";

await flow("queues", async (ui) => {
  const { keys } = await seed(ui);
  const page = await ui.page();
  const main = page.getByRole("main");
  const button = (name) => page.getByRole("button", { name, exact: true });
  const row = (text) => page.getByRole("grid").getByRole("row").filter({ hasText: text });
  const figure = async (key) => Number((await main.locator(".stat").filter({ hasText: t(key) }).first().locator(".value").innerText()).replace(/\D/g, ""));

  await ui.step("depth, leases and dead letters of each", async () => {
    await ui.open(page, "/ui/t/acme/queues");
    await row("billing").getByText(/^2( dead letters)?$/).first().waitFor();
    await row("billing").click({ position: { x: 60, y: 20 } });
    await page.getByRole("heading", { level: 1, name: "billing" }).waitFor();
    await becomes("its figures are shown", async () => [await figure("queues.leased"), await figure("queues.dead")], [3, 2]);
  });

  await ui.step("who holds which event is told, by the worker's own name and its key's", async () => {
    const worker = await ui.api("POST", "/v1/apikeys", { name: "Reports worker", tenant: "acme", allow: ["read", "manage", "publish"] });
    await ui.api("POST", `${T}/queues/reports/lease`, { max: 1, consumer: "host-7" }, { key: worker.key });
    await ui.open(page, "/ui/t/acme/queues/reports");
    const lease = main.getByRole("row").filter({ hasText: "host-7" });
    await lease.getByText("Reports worker").waitFor();
    await lease.getByText("order.created").waitFor();
    await ui.axe(page);
    await ui.api("POST", `${T}/queues/reports/lease`, { max: 30, consumer: "host-8" });
    const { leased } = (await ui.api("GET", `${T}/queues/reports`)).state;
    assert.ok(leased > 20, `${leased} are held`);
    await button(t("queues.leases.more", { n: leased - 20 })).click();
    await until("all are shown", async () => (await main.getByRole("row").filter({ hasText: /host-[78]/ }).count()) === leased);
    await button(t("queues.leases.more", { n: leased - 20 })).waitFor({ state: "hidden" });
    await ui.open(page, "/ui/t/acme/queues/billing");
  });

  await ui.step("dead letters are retried, one and all", async () => {
    await page.getByRole("tab", { name: new RegExp(`^${t("queues.dead")}`) }).click();
    const dead = page.getByRole("grid", { name: t("queues.dead") });
    await until("both are there", async () => (await dead.locator("[data-at]").count()) === 2);
    await ui.axe(page);
    await dead.getByRole("button", { name: t("queues.dead.one", { what: "" }).trim() }).first().click();
    await ui.told(page, t("queues.dead.again"));
    await until("one is left", async () => (await dead.locator("[data-at]").count()) === 1);
    await button(t("queues.dead.all")).click();
    await page.getByRole("dialog").getByRole("button", { name: t("queues.dead.all") }).click();
    await page.getByText(t("queues.dead.none"), { exact: true }).waitFor();
    await becomes("none is left", async () => (await ui.api("GET", `${T}/queues/billing`)).state.dead, 0);
  });

  await ui.step("a queue is made, an event is taken by hand, given back and done", async () => {
    await ui.open(page, "/ui/t/acme/queues");
    await button(t("queues.new")).click();
    const form = page.getByRole("dialog", { name: t("queues.new") });
    await form.getByLabel(t("queues.name"), { exact: true }).fill("by hand");
    await ui.expecting(404, /\/queues\/by/, () => ui.expecting(422, /\/queues\//, async () => {
      await form.getByRole("button", { name: t("common.create") }).click();
      await until("the name is refused", async () => (await form.getByLabel(t("queues.name"), { exact: true }).getAttribute("aria-invalid")) === "true");
    await form.getByLabel(t("queues.name"), { exact: true }).fill("by-hand");
    await form.getByRole("combobox", { name: t("queues.types") }).fill("invoice.*");
    await page.keyboard.press("Enter");
    await form.getByLabel(t("queues.start"), { exact: true }).selectOption("oldest");
    await form.getByRole("button", { name: new RegExp(`^${t("queues.form.how")}`) }).click();
    await form.getByLabel(t("queues.visibility"), { exact: true }).fill("600"); // a lease outlives this step on any machine
    await ui.axe(page);
    await form.getByRole("button", { name: t("common.create") }).click();
    await page.waitForURL("**/queues/by-hand");
    }));
    await button(t("queues.take.one")).click();
    const taken = page.getByRole("article").first();
    await taken.getByText("invoice.issued").waitFor();
    assert.equal((await ui.api("GET", `${T}/queues/by-hand`)).state.leased, 1);
    await ui.axe(page);
    await taken.getByRole("button", { name: t("queues.take.nack") }).click();
    await ui.told(page, t("queues.take.given"));
    await button(t("queues.take.one")).click();
    await page.getByRole("article").first().getByRole("button", { name: t("queues.take.ack") }).click();
    await ui.told(page, t("queues.take.done"));
    await until("nothing is leased", async () => ((await ui.api("GET", `${T}/queues/by-hand`)).state.leased ?? 0) === 0);
  });

  await ui.step("it is deleted after its name was typed", async () => {
    await button(t("common.more")).click();
    await page.getByRole("menuitem", { name: t("queues.delete") }).click();
    const sure = page.getByRole("dialog", { name: t("queues.delete") });
    await until("its name is asked for", () => sure.getByRole("button", { name: t("queues.delete") }).isDisabled());
    await sure.getByRole("textbox").fill("by-hand");
    await sure.getByRole("button", { name: t("queues.delete") }).click();
    await page.waitForURL(/\/queues$/);
    await row("billing").waitFor();
    await becomes("it is not on the list", () => row("by-hand").count(), 0);
  });

  await ui.step("without queues, and without listeners, the pages teach", async () => {
    await ui.open(page, "/ui/t/globex/queues");
    await page.getByText(t("queues.none"), { exact: true }).waitFor();
    await main.getByText("curl").first().waitFor();
    await ui.axe(page);
    await ui.open(page, "/ui/t/globex/streams");
    await page.getByText(t("streams.none"), { exact: true }).waitFor();
    await ui.axe(page);
  });

  await ui.step("who listens, from where, at which version; one is ended", async () => {
    const { socket } = await listeners(ui, keys.support.key);
    await ui.open(page, "/ui/t/acme/streams");
    await row("posthorn-app/2.1").getByText("WebSocket").waitFor();
    await row("dashboard/7").getByText("SSE").waitFor();
    await row("dashboard/7").getByText("Support, reading").waitFor();
    await row("dashboard/7").getByText("127.0.0.1").waitFor();
    const ended = new Promise((done) => socket.once("close", (code) => done(code)));
    await page.getByRole("searchbox").fill("posthorn-app");
    await until("one row is left", async () => (await page.getByRole("grid").locator("[data-at]").count()) === 1);
    await button(t("streams.endOf", { who: "posthorn-app/2.1" })).click();
    await page.getByRole("dialog").getByRole("button", { name: t("streams.end") }).click();
    assert.equal(await ended, 1008);
    await page.getByText(t("streams.none.filtered")).waitFor();
  });

  await ui.step("tunnels are listed, with whether somebody is connected; one is taken down after its name was typed", async () => {
    await ui.api("POST", `${T}/tunnels`, { name: "laptop", kind: "bin" });
    await page.route("**/tunnels", (route) => route.fulfill({ status: 500, json: { code: "internal" } }));
    await ui.expecting(500, /tunnels$/, async () => {
      await ui.open(page, "/ui/t/acme/streams");
      await main.getByRole("button", { name: t("common.tryAgain") }).waitFor();
      await page.unroute("**/tunnels");
      await main.getByRole("button", { name: t("common.tryAgain") }).click();
    });
    const tunnel = page.getByRole("row").filter({ hasText: "laptop" });
    await tunnel.getByText(t("streams.tunnels.off")).waitFor();
    await ui.axe(page);
    await button(t("streams.tunnels.endOf", { name: "laptop" })).click();
    const sure = page.getByRole("dialog", { name: t("streams.tunnels.end") });
    await sure.getByRole("textbox").fill("laptop");
    await sure.getByRole("button", { name: t("streams.tunnels.end") }).click();
    await until("it is gone", async () => (await tunnel.count()) === 0);
    assert.equal((await ui.api("GET", `${T}/tunnels`)).data?.length ?? 0, 0);
  });
});
