// The overview: figures that move by themselves, and the endpoints that need somebody.
import assert from "node:assert/strict";
import { becomes, flow, reads, until } from "./harness.mjs";
import { seed } from "./seed.mjs";
import { t } from "./texts.mjs";

const T = "/v1/tenants/acme";

await flow("overview", async (ui) => {
  const page = await ui.page();
  const main = page.getByRole("main");
  const figure = (key) => main.locator(".stat").filter({ hasText: t(key) });
  const number = async (key) => {
    const [, n, thousands] = (await figure(key).innerText()).replace(t(key), "").match(/([\d.]+)(K)?/) ?? [];
    return Number(n) * (thousands ? 1000 : 1);
  };

  await ui.step("on a new server it says how to begin", async () => {
    await ui.open(page, "/ui/");
    await page.getByRole("heading", { name: t("overview.start") }).waitFor();
    const commands = await main.locator("pre").allInnerTexts();
    assert.ok(commands.length >= 2 && commands.every((c) => c.includes("curl")), String(commands));
    assert.ok(!commands.join().includes(ui.key), "the key is in a command");
    await ui.look(page, "overview-new");
  });

  const { endpoints } = await seed(ui);

  await ui.step("what comes first takes the place of it by itself", async () => {
    await main.getByRole("heading", { name: t("overview.attention") }).waitFor();
  });

  await ui.step("what is published and delivered shows without a reload", async () => {
    await ui.open(page, "/ui/");
    await page.evaluate(() => (window.same = true));
    await page.getByRole("status").filter({ hasText: "Live" }).first().waitFor();
    const publishing = setInterval(() => void ui.api("POST", `${T}/events`, Array.from({ length: 40 }, () => ({ type: "order.paid", data: { order: "1", total: "5.00" } }))).catch(() => {}), 200);
    try {
      await until("the rates have risen", async () => (await number("overview.in")) > 10 && (await number("overview.out")) > 10);
    } finally {
      clearInterval(publishing);
    }
    await until("they fall again", async () => (await number("overview.in")) < 10);
    assert.equal(await page.evaluate(() => window.same), true);
    await reads("how many succeeded is shown", () => figure("overview.success").innerText(), /%/); // with the next reading of the whole window
    await reads("how long they took is shown", () => figure("overview.latency").innerText(), /ms|µs|sec/);
  });

  await ui.step("the endpoints that need attention, with the reason, and the way to them", async () => {
    const card = main.getByRole("region", { name: t("overview.attention") });
    await card.getByText("Taken down last year").waitFor();
    await card.getByText("Nobody listens here").waitFor();
    await becomes("a healthy endpoint needs no attention", () => card.getByText("Shop: orders").count(), 0);
    const dead = card.getByRole("link").filter({ hasText: "Nobody listens here" });
    await reads("the reason is told", () => dead.innerText(), /Penalised/);
    await dead.click();
    await page.waitForURL(`**/endpoints/${endpoints.dead.id}`);
    await page.goBack();
    await card.getByText("Taken down last year").waitFor();
  });

  await ui.step("lanes by state, and the oldest that waits", async () => {
    const lanes = main.getByRole("region", { name: t("overview.lanes") });
    const waiting = lanes.getByRole("listitem").filter({ hasText: t("overview.lane.waiting") });
    await until("the lanes that wait are counted", async () => Number((await waiting.innerText()).match(/(\d+)\s*$/)?.[1]) >= 3);
    await reads("its age is told", () => figure("overview.oldest").innerText(), /sec|min|s\b/);
  });

  await ui.step("a chart can be read as a table", async () => {
    const card = main.getByRole("region", { name: t("overview.traffic") });
    await card.getByText(t("common.asTable")).focus();
    await page.keyboard.press("Enter");
    await card.getByRole("table").waitFor();
    await ui.axe(page);
  });

  await ui.step("a tenant's overview has nothing of another's", async () => {
    const other = await ui.page();
    await ui.open(other, "/ui/t/globex/overview");
    await other.getByRole("status").filter({ hasText: "Live" }).first().waitFor();
    assert.ok(!(await other.getByRole("main").innerText()).includes("Nobody listens here"));
    await ui.open(page, "/ui/t/acme/overview");
    await main.getByText("Nobody listens here").waitFor();
    await other.context().close();
  });
});
