// What is around the pages: the keyboard alone, themes, languages, unknown addresses, and a server that goes away and comes back.
import assert from "node:assert/strict";
import { flow, routes, until } from "./harness.mjs";
import { seed } from "./seed.mjs";

await flow("shell", async (ui) => {
  const { endpoints } = await seed(ui);
  const page = await ui.page();
  const heading = (name) => page.getByRole("heading", { level: 1, name }).waitFor();
  const address = () => page.url().slice(ui.base.length);

  await ui.step("pages change without loading the document anew", async () => {
    await ui.open(page, "/ui/t/acme/overview");
    await page.evaluate(() => (window.same = true));
    const pages = page.getByRole("navigation", { name: "Pages" });
    for (const name of ["Events", "Endpoints", "Event types", "Streams", "Queues", "Sources", "Bins", "Tenants", "API keys", "Audit log"]) {
      await pages.getByRole("link", { name, exact: true }).click();
      await heading(name);
      await until("the link is marked", async () => (await pages.getByRole("link", { name, exact: true }).getAttribute("aria-current")) === "page");
      assert.equal(await page.evaluate(() => document.activeElement?.tagName), "H1", `the focus is not at the heading of ${name}`);
    }
    await page.goBack();
    await heading("API keys");
    assert.equal(await page.evaluate(() => window.same), true, "the document was loaded anew");
  });

  await ui.step("the keyboard alone: the palette", async () => {
    await ui.open(page, "/ui/");
    await page.keyboard.press("Control+k");
    const palette = page.getByRole("dialog", { name: "Find or do…" });
    const input = palette.getByRole("combobox");
    await input.waitFor();
    assert.ok(await input.evaluate((e) => e === document.activeElement), "the palette's input is not focused");
    await ui.axe(page);
    await page.keyboard.type("queues");
    await palette.getByRole("option", { name: "Queues" }).waitFor();
    await page.keyboard.press("Enter");
    await heading("Queues");
    await page.keyboard.press("Control+k");
    await page.keyboard.type("seed-21");
    await palette.getByRole("option", { name: "Go to event seed-21" }).waitFor();
    await page.keyboard.press("Enter");
    await page.waitForURL("**/ui/t/acme/events/seed-21");
    await page.keyboard.press("Control+k");
    await page.keyboard.type("Large orders");
    await palette.getByRole("option", { name: "Large orders only" }).waitFor();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Enter");
    await page.waitForURL(`**/endpoints/${endpoints.large.id}`);
    await page.keyboard.press("Control+k");
    await input.waitFor();
    await page.keyboard.press("Escape");
    await input.waitFor({ state: "hidden" });
  });

  await ui.step("the keyboard alone: lists and search", async () => {
    await ui.open(page, "/ui/t/acme/overview");
    await page.keyboard.press("g");
    await page.keyboard.press("p");
    await heading("Endpoints");
    await ui.settled(page);
    await page.keyboard.press("/");
    const search = page.getByRole("searchbox");
    assert.ok(await search.evaluate((e) => e === document.activeElement), "/ does not focus the search");
    await page.keyboard.type("accounting");
    const grid = page.getByRole("grid");
    await until("one row is left", async () => (await grid.locator("[data-at]").count()) === 1);
    await page.keyboard.press("Escape");
    await until("all rows are back", async () => (await grid.locator("[data-at]").count()) > 3);
    await grid.focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    const active = await grid.getAttribute("aria-activedescendant");
    assert.equal(await grid.locator(`[id="${active}"]`).getAttribute("data-at"), "2");
    await page.keyboard.press("End");
    await page.keyboard.press("Home");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/endpoints\/ep_/);
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
    await ui.axe(page);
    await page.keyboard.press("Escape");
  });

  await ui.step("Tab reaches the content at once, and the focus is always seen", async () => {
    await ui.open(page, "/ui/t/acme/endpoints");
    await page.keyboard.press("Tab");
    const skip = page.getByRole("link", { name: "Skip to the content" });
    assert.ok(await skip.evaluate((e) => e === document.activeElement), "the first stop is not the way to the content");
    await page.keyboard.press("Enter");
    for (let n = 0; n < 25; n++) {
      await page.keyboard.press("Tab");
      const unseen = await page.evaluate(() => {
        const e = document.activeElement;
        if (!e || e === document.body) return null;
        const s = getComputedStyle(e);
        const box = e.getBoundingClientRect();
        const ring = s.outlineStyle !== "none" || s.boxShadow !== "none" || e.closest(":focus-within") !== e || e.matches("[type=checkbox], [type=radio]");
        return ring && box.width > 0 && box.height > 0 ? null : e.outerHTML.slice(0, 200);
      });
      assert.equal(unseen, null, "nobody sees where the focus is");
    }
  });

  await ui.step("the theme is chosen and kept", async () => {
    const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    await ui.open(page, "/ui/t/acme/overview");
    const light = await background();
    await account("menuitemcheckbox", "Dark");
    await until("the page is dark", async () => (await background()) !== light);
    const dark = await background();
    await page.reload();
    await ui.settled(page);
    assert.equal(await background(), dark, "the theme is not kept");
    await page.getByRole("button", { name: /^Account/ }).click();
    assert.equal(await page.getByRole("menuitemcheckbox", { name: "Dark" }).getAttribute("aria-checked"), "true");
    await page.getByRole("menuitemcheckbox", { name: "As the system" }).click();
    await until("the page is light", async () => (await background()) === light);
  });

  await ui.step("every page in Czech, without a text that is missing", async () => {
    await ui.open(page, "/ui/t/acme/overview");
    await account("menuitemcheckbox", "Čeština");
    await until("the document is Czech", () => page.evaluate(() => document.documentElement.lang === "cs"));
    await page.getByRole("link", { name: "Události" }).first().waitFor();
    const visited = await ui.crawl(page, ["/ui/", "/ui/t/acme/overview"], { visit: async (route) => {
      const text = await page.evaluate(() => document.body.innerText);
      const missing = /\b(common|shell|admin|bins|endpoints|events|login|overview|portal|queues|sources|streams|types)\.[a-z]\w*(\.\w+)*\b(?!\*)/.exec(text) ?? /undefined|\[object |NaN/.exec(text);
      assert.equal(missing?.[0], undefined, `a text of ${route} is missing`);
      for (const english of ["Loading…", "Endpoints", "Queues", "Search", "Event types", "Delete", "Save"]) {
        assert.ok(!text.split("\n").includes(english), `${route} says "${english}" in English`);
      }
    } });
    assert.ok(visited.size >= routes.length / 2, `only ${[...visited.keys()]}`);
    await ui.open(page, "/ui/t/acme/overview");
    await page.getByRole("button", { name: /^Účet/ }).click();
    await page.getByRole("menuitemcheckbox", { name: "English" }).click();
    await until("the document is English", () => page.evaluate(() => document.documentElement.lang === "en"));
  });

  await ui.step("addresses that are no page, and things that are not there", async () => {
    await page.evaluate(() => localStorage.clear());
    await page.goto(`${ui.base}/ui/no/such/page`);
    await heading("There is no such page");
    await ui.axe(page);
    await ui.expecting(404, /^\/v1\//, async () => {
      for (const path of ["/ui/t/acme/events/nothing-here", "/ui/t/acme/endpoints/ep_nothing", "/ui/t/acme/queues/nothing", "/ui/t/nobody/events", "/ui/bins/00000000-0000-4000-8000-000000000000"]) {
        await page.goto(ui.base + path);
        await page.getByRole("alert").or(page.getByText(/not found|there is no|does not exist/i)).first().waitFor();
        assert.equal(await page.getByRole("heading", { level: 1 }).count(), 1, `${path} has no heading`);
      }
    });
  });

  await ui.step("the server goes away and comes back", async () => {
    await ui.open(page, "/ui/t/acme/queues");
    await page.evaluate(() => (window.same = true));
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Overview", exact: true }).last().click();
    await page.getByRole("status").filter({ hasText: "Live" }).first().waitFor();
    await ui.server("kill");
    await page.getByRole("status").filter({ hasText: "Offline" }).first().waitFor();
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Queues", exact: true }).click();
    const alert = page.getByRole("alert").filter({ hasText: "No answer from the server" }).first();
    await alert.waitFor();
    await ui.axe(page);
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Sources", exact: true }).click(); // its code was never loaded
    await page.getByText("The page could not be loaded").waitFor();
    await page.goBack();
    await alert.waitFor();
    await ui.server("start");
    await page.getByRole("button", { name: "Try again" }).first().click();
    await alert.waitFor({ state: "hidden" });
    await page.getByText("billing").first().waitFor();
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Overview", exact: true }).last().click();
    await page.getByRole("status").filter({ hasText: "Live" }).first().waitFor();
    await ui.server("kill");
    await page.getByRole("status").filter({ hasText: "Offline" }).first().waitFor();
    await ui.server("start");
    await page.getByRole("status").filter({ hasText: "Live" }).first().waitFor(); // by itself
    assert.equal(await page.evaluate(() => window.same), true, "the document was loaded anew");
    ui.offline = false;
  });

  async function account(role, name) {
    await page.getByRole("button", { name: /^Account/ }).click();
    await page.getByRole(role, { name }).click();
  }
});
