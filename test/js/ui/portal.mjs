// The portal: one tenant's pages for its own customers, in a frame of another site, by a link that ends.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { becomes, flow, until } from "./harness.mjs";
import { seed } from "./seed.mjs";
import { t } from "./texts.mjs";

const T = "/v1/tenants/acme";
const logo = `data:image/svg+xml;base64,${Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="96" height="24"><rect width="96" height="24" rx="4" fill="#0a7d4f"/></svg>').toString("base64")}`;

await flow("portal", async (ui) => {
  const { endpoints } = await seed(ui);
  const host = await site();
  ui.hosts.add(host.origin);
  const link = async (options = {}) => (await ui.api("POST", `${T}/portal/links`, { ttl: "1h", ...options })).url.replace(/^https?:\/\/[^/]+/, ui.base);

  /** Another site's server: a page with the portal in a frame. */
  async function site() {
    const pages = { frame: "about:blank" };
    const server = createServer((req, res) => {
      res.setHeader("Content-Type", "text/html").end(`<!doctype html><html lang="en"><title>Example app</title><body style="margin:0"><h1>Example app</h1><iframe title="Webhooks" src="${pages.frame}" style="width:100%;height:680px;border:0"></iframe></body></html>`);
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    ui.closers.push(() => (server.close(), server.closeAllConnections()));
    return { origin: `http://localhost:${server.address().port}`, pages };
  }

  await ui.step("an administrator sets its looks, and makes a link", async () => {
    const page = await ui.page();
    await ui.open(page, "/ui/t/acme/portal");
    await ui.api("PUT", `${T}/portal`, { name: "Example app", colour: "#0a7d4f", logo, origins: [host.origin] });
    await page.reload();
    await ui.settled(page);
    await becomes("its name is in the form", () => page.getByLabel(/^name/i).inputValue(), "Example app");
    await page.context().close();
  });

  await ui.step("in a frame of another site: colours, logo, and only this tenant", async () => {
    host.pages.frame = await link();
    const page = await ui.page({ key: null });
    await page.goto(host.origin);
    const portal = page.frameLocator("iframe");
    await portal.getByRole("heading", { level: 1, name: "Endpoints" }).waitFor();
    await portal.getByText("Shop: orders").first().waitFor();
    const nav = portal.getByRole("navigation", { name: "Pages" });
    assert.deepEqual((await nav.getByRole("link").allInnerTexts()).map((s) => s.trim()), ["Overview", "Endpoints", "Events", "Event types"]);
    await portal.getByText("Example app").waitFor();
    assert.equal(await portal.locator("header img").getAttribute("src"), logo);
    const frame = page.frames().find((f) => f.url().startsWith(ui.base));
    assert.ok(!frame.url().includes("token"), "the token stays in the address");
    const brass = await frame.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue("--brass").trim());
    assert.notEqual(brass, "#b07d1e", "the colour is not the customer's");
    assert.deepEqual(await page.context().cookies(ui.base), [], "the portal has a cookie");
    await page.screenshot({ path: new URL("../out/ui/portal-frame.png", import.meta.url).pathname });

    await nav.getByRole("link", { name: "Events" }).click();
    await portal.getByRole("heading", { level: 1, name: "Events" }).waitFor();
    await portal.getByText("order.paid").first().waitFor();
    await nav.getByRole("link", { name: "Event types" }).click();
    await portal.getByText("An order was paid in full").first().waitFor();
    await nav.getByRole("link", { name: "Endpoints" }).click();
    await portal.getByRole("row").filter({ hasText: "Shop: orders" }).click();
    await portal.getByRole("heading", { level: 1 }).filter({ hasText: /shop/i }).waitFor();
    // A reload of the frame keeps what the link gave.
    await frame.evaluate(() => {
      window.before = true;
      setTimeout(() => location.reload()); // when this call has been answered
    });
    await until("the frame has loaded anew", () => portal.locator("body").evaluate(() => !window.before).catch(() => false)); // it may go meanwhile
    await portal.getByRole("heading", { level: 1 }).filter({ hasText: /shop/i }).waitFor();
    await page.context().close();
  });

  await ui.step("it looks right by itself, in both themes and on a phone", async () => {
    const page = await ui.page({ key: null });
    await ui.open(page, (await link()).slice(ui.base.length));
    await page.getByText("Shop: orders").first().waitFor();
    await ui.look(page, "portal");
    await page.context().close();
  });

  await ui.step("a nearly black brand is seen on the dark theme, too: the button is lighter, the logo stands on a plate", async () => {
    const black = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="96" height="24"><rect width="96" height="24" fill="#101018"/></svg>').toString("base64");
    await ui.api("PUT", `${T}/portal`, { name: "Example app", colour: "#101018", logo: `data:image/svg+xml;base64,${black}`, origins: [host.origin] });
    const page = await ui.page({ key: null, theme: "dark" });
    await ui.open(page, (await link()).slice(ui.base.length));
    await until("the logo has its plate", () => page.locator("header img").evaluate((e) => getComputedStyle(e).backgroundColor !== "rgba(0, 0, 0, 0)"));
    const light = (colour) => Math.max(...colour.match(/\d+/g).map(Number));
    const button = await page.getByRole("link", { name: /new endpoint/i }).first().evaluate((e) => getComputedStyle(e).backgroundColor);
    assert.ok(light(button) > 50, `the button is ${button}`);
    await ui.axe(page, { only: ["color-contrast"] });
    await page.emulateMedia({ colorScheme: "light" });
    await until("on the light theme none is needed", () => page.locator("header img").evaluate((e) => getComputedStyle(e).backgroundColor === "rgba(0, 0, 0, 0)"));
    await page.context().close();
    await ui.api("PUT", `${T}/portal`, { name: "Example app", colour: "#0a7d4f", logo, origins: [host.origin] });
  });

  await ui.step("a link that only reads offers nothing to change", async () => {
    const page = await ui.page({ key: null });
    await ui.open(page, (await link({ read_only: true })).slice(ui.base.length));
    await page.getByText("Shop: orders").first().waitFor();
    assert.equal(await page.getByRole("link", { name: /new endpoint|add endpoint/i }).count(), 0);
    await page.goto(`${ui.base}/ui/portal/acme/endpoints/${endpoints.shop.id}`);
    await ui.settled(page);
    for (const name of [/^delete/i, /^pause/i, /^edit/i, /rotate/i]) assert.equal(await page.getByRole("button", { name }).or(page.getByRole("link", { name })).count(), 0, String(name));
    await page.context().close();
  });

  await ui.step("pages that are no part of it are not there", async () => {
    const page = await ui.page({ key: null });
    await ui.open(page, (await link()).slice(ui.base.length));
    for (const path of ["queues", "sources", "audit", "portal", "streams", "settings"]) {
      await page.goto(`${ui.base}/ui/portal/acme/${path}`);
      await page.getByRole("heading", { name: "There is no such page" }).waitFor();
    }
    const token = await page.evaluate(() => JSON.parse(sessionStorage.getItem("posthorn.portal")).token);
    for (const path of ["/v1/tenants/globex/endpoints", `${T}/queues`, `${T}/sources`, `${T}/audit`, `${T}/streams`, "/v1/apikeys", "/v1/tenants", T]) {
      assert.equal((await fetch(ui.base + path, { headers: { Authorization: `Bearer ${token}` } })).status, 403, path);
    }
    await page.context().close();
  });

  await ui.step("who is logged in is let in by a link only, and no request carries the session", async () => {
    const page = await ui.page();
    const sent = [];
    page.on("request", (r) => new URL(r.url()).pathname.startsWith("/v1/") && sent.push(r.allHeaders().then((all) => all.cookie ?? "", () => ""))); // of one that was cut off nothing is known
    await ui.open(page, "/ui/portal/acme");
    await page.getByRole("heading", { level: 1, name: "Open your link again" }).waitFor();
    assert.equal(sent.length, 0, "the server was asked without a link");
    await page.goto("about:blank");
    await ui.open(page, (await link({ language: "cs" })).slice(ui.base.length));
    await page.getByRole("heading", { level: 1, name: "Endpointy" }).waitFor();
    await page.getByText("Shop: orders").first().waitFor();
    const cookies = await Promise.all(sent);
    assert.ok(cookies.length > 0 && cookies.every((cookie) => cookie === ""), cookies.join());
    await page.context().close();
  });

  await ui.step("a link ends", async () => {
    const url = await link({ ttl: "1s" });
    await until("its time is over", async () => {
      const token = decodeURIComponent(/token=([^&]+)/.exec(url)[1]);
      return (await fetch(`${ui.base}${T}/endpoints`, { headers: { Authorization: `Bearer ${token}` } })).status === 401;
    });
    const page = await ui.page({ key: null });
    await ui.expecting(401, /^\/v1\//, async () => {
      await page.goto(url);
      await page.getByText(t("portal.expired")).waitFor();
    });
    assert.equal(await page.getByText("Shop: orders").count(), 0);
    await ui.axe(page);
    await page.context().close();
  });

  await ui.step("a site that is not allowed cannot show it", async () => {
    await ui.api("PUT", `${T}/portal`, { name: "Example app", origins: ["https://other.example"] });
    host.pages.frame = await link();
    const context = await ui.context({ watched: false });
    const page = await context.newPage();
    await page.goto(host.origin);
    await until("the frame is refused", () => page.frames().some((f) => f.url().startsWith("chrome-error:")));
    await context.close();
  });
});
