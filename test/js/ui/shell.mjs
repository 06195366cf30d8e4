// What is around the pages: the keyboard alone, themes, languages, unknown addresses, and a server that goes away and comes back.
import assert from "node:assert/strict";
import { becomes, flow, routes, until } from "./harness.mjs";
import { seed } from "./seed.mjs";
import { t } from "./texts.mjs";

await flow("shell", async (ui) => {
  const { endpoints } = await seed(ui);
  const page = await ui.page();
  const heading = (name) => page.getByRole("heading", { level: 1, name }).waitFor();
  const focused = (what) => until("the focus is there", () => what.evaluate((e) => e === document.activeElement));

  await ui.step("pages change without loading the document anew", async () => {
    await ui.open(page, "/ui/t/acme/overview");
    await page.evaluate(() => (window.same = true));
    const pages = page.getByRole("navigation", { name: "Pages" });
    for (const name of ["Events", "Endpoints", "Event types", "Streams", "Queues", "Sources", "Bins", "Tenants", "API keys", "Audit log"]) {
      await pages.getByRole("link", { name, exact: true }).click();
      await heading(name);
      await until("the link is marked", async () => (await pages.getByRole("link", { name, exact: true }).getAttribute("aria-current")) === "page");
      await focused(page.getByRole("heading", { level: 1, name }));
    }
    await page.goBack();
    await heading("API keys");
    assert.equal(await page.evaluate(() => window.same), true, "the document was loaded anew");
  });

  await ui.step("the keyboard alone: the palette", async () => {
    await ui.open(page, "/ui/");
    const palette = page.getByRole("dialog", { name: "Find or do…" });
    const input = palette.getByRole("combobox");
    const find = async (text, option) => {
      await page.keyboard.press("Control+k");
      await focused(input);
      await page.keyboard.type(text);
      await palette.getByRole("option", { name: option, selected: true }).waitFor(); // the one that Enter takes
    };
    await page.keyboard.press("Control+k");
    await focused(input);
    await ui.axe(page);
    await page.keyboard.press("Escape");
    await input.waitFor({ state: "hidden" });
    await find("queues", "Queues");
    await page.keyboard.press("Enter");
    await heading("Queues");
    await find("seed-21", "Go to event seed-21");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/ui/t/acme/events/seed-21");
    await page.getByRole("heading", { level: 1, name: "order.paid" }).waitFor();
    await find("Large orders", "Large orders only");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowUp");
    await palette.getByRole("option", { name: "Large orders only", selected: true }).waitFor();
    await page.keyboard.press("Enter");
    await page.waitForURL(`**/endpoints/${endpoints.large.id}`);
    await page.keyboard.press("Control+k");
    await focused(input);
    await page.keyboard.press("Escape");
    await input.waitFor({ state: "hidden" });
  });

  await ui.step("the palette does from every page what belongs to none, and looks for whatever is typed", async () => {
    const palette = page.getByRole("dialog", { name: "Find or do…" });
    const choose = async (text, option) => {
      await page.keyboard.press("Control+k");
      await palette.getByRole("combobox").waitFor();
      await page.keyboard.type(text);
      await palette.getByRole("option", { name: option, selected: true }).waitFor();
      await page.keyboard.press("Enter");
    };
    await ui.open(page, "/ui/t/acme/queues");
    await choose("publish", t("shell.publish"));
    await page.getByRole("dialog", { name: t("events.publish.title") }).waitFor();
    await page.keyboard.press("Escape");
    await choose("order/1021", t("shell.palette.search", { text: "order/1021" }));
    await until("the search is in the address", () => page.url().endsWith("/events?q=order%2F1021"));
    await page.keyboard.press("g");
    await page.keyboard.press("w");
    const tenants = page.getByRole("dialog", { name: t("shell.tenant.choose") });
    await tenants.getByRole("combobox").fill("glob");
    await until("one is left", async () => (await tenants.getByRole("option").count()) === 1);
    await page.keyboard.press("Enter");
    await page.waitForURL("**/t/globex/events");
    await ui.open(page, "/ui/t/acme/overview"); // the tenant of the steps that follow
  });

  await ui.step("who has logged out sees no page by the way back", async () => {
    const other = await ui.page();
    await ui.open(other, "/ui/t/acme/queues");
    await ui.open(other, "/ui/t/acme/types");
    await other.evaluate(() => {
      window.headings = [];
      new MutationObserver(() => window.headings.push(document.querySelector("h1")?.textContent)).observe(document.body, { subtree: true, childList: true });
    });
    await other.getByRole("button", { name: /^Account/ }).click();
    await other.getByRole("menuitem", { name: t("shell.logout"), exact: true }).click();
    const login = other.getByRole("heading", { level: 1, name: t("login.heading") });
    await login.waitFor();
    await other.evaluate(() => (window.headings = []));
    await other.goBack();
    await other.waitForURL("**/ui/login?return=*");
    await login.waitFor();
    assert.deepEqual((await other.evaluate(() => window.headings)).filter((text) => text && text !== t("login.heading")), [], "a page was shown");
    await other.context().close();
  });

  await ui.step("the keyboard alone: lists and search", async () => {
    await ui.open(page, "/ui/t/acme/overview");
    await Promise.all([page.keyboard.press("g"), page.keyboard.press("p")]); // at once: a pause of a second ends the sequence
    await heading("Endpoints");
    await ui.settled(page);
    await page.keyboard.press("/");
    const search = page.getByRole("searchbox");
    await focused(search);
    await page.keyboard.type("accounting");
    const grid = page.getByRole("grid");
    await until("one row is left", async () => (await grid.locator("[data-at]").count()) === 1);
    await page.keyboard.press("Escape");
    await until("all rows are back", async () => (await grid.locator("[data-at]").count()) > 3);
    await grid.focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await becomes("the third row is the one", async () => (await grid.getAttribute("aria-activedescendant"))?.split("-").at(-1), "2");
    await page.keyboard.press("End");
    await page.keyboard.press("Home");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/endpoints\/ep_/);
    await ui.settled(page);
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
    await ui.axe(page);
    await page.keyboard.press("Escape");
  });

  await ui.step("Tab reaches the content at once, and the focus is always seen", async () => {
    await ui.open(page, "/ui/t/acme/endpoints");
    await page.keyboard.press("Tab");
    const skip = page.getByRole("link", { name: "Skip to the content" });
    await focused(skip); // the first stop is the way to the content
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
    await becomes("the theme is kept", background, dark);
    await page.getByRole("button", { name: /^Account/ }).click();
    await becomes("the choice is marked", () => page.getByRole("menuitemcheckbox", { name: "Dark" }).getAttribute("aria-checked"), "true");
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
        await becomes(`${path} has a heading`, () => page.getByRole("heading", { level: 1 }).count(), 1);
      }
    });
  });

  await ui.step("a tenant that is not there is told, with the way to those that are, and chosen no longer", async () => {
    const own = await ui.page();
    await ui.expecting(404, /^\/v1\//, async () => {
      for (const kind of ["overview", "events", "endpoints", "types", "streams", "queues", "sources", "portal", "events/x", "endpoints/ep_x", "queues/x"]) {
        await ui.open(own, `/ui/t/nope/${kind}`);
        const alert = own.getByRole("main").getByRole("alert").filter({ hasText: t("common.error.tenant.title", { name: "nope" }) }).first();
        await alert.waitFor();
        await alert.getByRole("link", { name: t("shell.tenant.manage") }).waitFor();
        assert.equal(await alert.getByRole("button", { name: t("common.tryAgain") }).count(), 0, `${kind}: trying again does not help`);
      }
      await ui.axe(own);
      await own.getByRole("main").getByRole("link", { name: t("shell.tenant.manage") }).first().click();
      await own.getByRole("heading", { level: 1, name: t("shell.nav.tenants") }).waitFor();
      await own.getByRole("button", { name: t("shell.tenant.choose") }).waitFor();
    });
    await own.context().close();
  });

  await ui.step("the server goes away and comes back", async () => {
    const go = (name) => page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name, exact: true }).last().click();
    const status = (word) => page.getByRole("status").filter({ hasText: word }).first().waitFor();
    const alert = page.getByRole("alert").filter({ hasText: "No answer from the server" }).first();
    await ui.open(page, "/ui/t/acme/queues");
    await page.evaluate(() => (window.same = true));
    await go("Event types");
    await page.getByText("An order was paid in full").first().waitFor();
    await go("Overview");
    await status("Live");
    await ui.server("kill");
    await status("Offline");
    await go("Event types");
    await alert.waitFor();
    await ui.axe(page);
    await go("Sources"); // its code was never loaded
    await page.getByText("The page could not be loaded").waitFor();
    await page.goBack();
    await alert.waitFor();
    await go("Queues");
    await alert.waitFor();
    await ui.server("start");
    await page.getByText("billing").first().waitFor(); // a list that refreshes itself needs nobody
    await alert.waitFor({ state: "hidden" });
    await go("Overview");
    await status("Live");
    await ui.server("kill");
    await status("Offline");
    await go("Event types");
    await alert.waitFor();
    await ui.server("start");
    await page.getByRole("button", { name: "Try again" }).first().click(); // this one waits for it
    await page.getByText("An order was paid in full").first().waitFor();
    await alert.waitFor({ state: "hidden" });
    await go("Overview");
    await status("Live");
    await ui.server("kill");
    await status("Offline");
    await ui.server("start");
    await status("Live"); // by itself
    assert.equal(await page.evaluate(() => window.same), true, "the document was loaded anew");
    ui.offline = false;
  });

  async function account(role, name) {
    await page.getByRole("button", { name: /^Account/ }).click();
    await page.getByRole(role, { name }).click();
  }
});
