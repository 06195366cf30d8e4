// Logging in with an API key, what each key may see, sessions that end, and what other origins can do with them.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { becomes, flow, reads, until } from "./harness.mjs";
import { tenants } from "./seed.mjs";
import { t } from "./texts.mjs";

await flow("login", async (ui) => {
  const nav = (p) => p.getByRole("navigation", { name: "Pages" });
  await ui.step("who may see every tenant begins with the only one there is", async () => {
    const first = async (what) => {
      const p = await ui.page({ key: null });
      await ui.expecting(401, /^\/v1\/(me|session)$/, () => ui.open(p, "/ui/login"));
      await p.getByLabel("API key", { exact: true }).fill(ui.key);
      await p.getByRole("button", { name: "Log in" }).click();
      await p.waitForURL(`${ui.base}/ui/`);
      await nav(p).waitFor();
      await what(p);
      await p.context().close();
    };
    await first((p) => nav(p).getByRole("button", { name: t("shell.tenant.choose") }).waitFor());
    await ui.api("POST", "/v1/tenants", { name: "single" });
    await first(async (p) => {
      await nav(p).getByRole("button", { name: "single" }).waitFor();
      await nav(p).getByRole("link", { name: "Events", exact: true }).click();
      await p.waitForURL("**/ui/t/single/events");
    });
    await ui.api("DELETE", "/v1/tenants/single");
  });

  await tenants(ui);
  const make = (key) => ui.api("POST", "/v1/apikeys", key);
  const reader = await make({ name: "Reader", tenant: "acme", allow: ["read"] });
  const revoked = await make({ name: "Soon revoked", tenant: "acme", allow: ["read"] });
  const page = await ui.page({ key: null });
  const unauthorized = (body) => ui.expecting(401, /^\/v1\/(me|session)$/, body);
  const field = page.getByLabel("API key", { exact: true });
  const submit = page.getByRole("button", { name: "Log in" });
  const logIn = async (key) => {
    await field.fill(key);
    await submit.click();
  };

  await ui.step("whoever is not known is asked for a key", async () => {
    await unauthorized(() => ui.open(page, "/ui/t/acme/endpoints?q=shop"));
    await page.waitForURL(/\/ui\/login\?return=/);
    await ui.settled(page);
    await until("the field has the focus", () => field.evaluate((e) => e === document.activeElement));
    assert.equal(await field.getAttribute("type"), "password");
    await ui.look(page, "login");
  });

  await ui.step("mistakes are told", async () => {
    await submit.click();
    await page.getByText("Paste an API key.").waitFor();
    await unauthorized(async () => {
      await logIn("ph_not-a-key-at-all");
      await page.getByText("This key is not known here").waitFor();
    });
    await until("the field is marked", () => field.getAttribute("aria-invalid"));
    await ui.axe(page);
  });

  await ui.step("a key opens the page that was asked for", async () => {
    await logIn(reader.key);
    await page.waitForURL("**/ui/t/acme/endpoints?q=shop");
    await page.getByRole("heading", { level: 1, name: "Endpoints" }).waitFor();
    assert.equal(await page.evaluate((key) => [document.cookie, JSON.stringify(localStorage), JSON.stringify(sessionStorage), location.href].join().includes(key), reader.key), false, "the key is kept where scripts read it");
    const cookies = await page.context().cookies(ui.base);
    const session = cookies.find((c) => c.name === "posthorn_session");
    assert.deepEqual({ httpOnly: session.httpOnly, sameSite: session.sameSite, domain: session.domain }, { httpOnly: true, sameSite: "Lax", domain: "127.0.0.1" });
  });

  await ui.step("a key that may only read sees nothing that it may not do", async () => {
    const nav = page.getByRole("navigation", { name: "Pages" });
    await nav.getByRole("link", { name: "Events", exact: true }).waitFor();
    for (const name of ["Tenants", "API keys", "Audit log"]) assert.equal(await nav.getByRole("link", { name, exact: true }).count(), 0, name);
    assert.equal(await page.getByRole("link", { name: /new endpoint|add endpoint/i }).count(), 0, "an endpoint may be made");
    await ui.expecting(403, /^\/v1\//, async () => {
      await page.goto(`${ui.base}/ui/tenants`);
      await page.getByText(/may not|admin/i).first().waitFor();
      await page.goto(`${ui.base}/ui/t/globex/events`);
      await page.getByText(t("common.error.closed.title", { name: "globex" })).first().waitFor();
    });
  });

  await ui.step("logging out ends the session on the server", async () => {
    const cookie = (await page.context().cookies(ui.base)).find((c) => c.name === "posthorn_session");
    await ui.open(page, "/ui/t/acme/endpoints");
    await page.getByRole("button", { name: /^Account/ }).click();
    await page.getByRole("menuitem", { name: "Log out", exact: true }).click();
    await page.waitForURL(/\/ui\/login/);
    const res = await fetch(`${ui.base}/v1/me`, { headers: { Cookie: `posthorn_session=${cookie.value}` } });
    assert.equal(res.status, 401, "the cookie's value is good after the log-out");
    await ui.expecting(401, /^\/v1\//, async () => {
      await page.goBack();
      await page.waitForURL(/\/ui\/login/);
    });
  });

  await ui.step("a key that is revoked ends its sessions, and the way back is kept", async () => {
    await unauthorized(() => ui.open(page, "/ui/login"));
    await logIn(revoked.key);
    await page.waitForURL("**/ui/t/acme/overview");
    await ui.settled(page);
    await ui.expecting(401, /^\/v1\//, async () => {
      await ui.api("DELETE", `/v1/apikeys/${revoked.id}`);
      await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Events", exact: true }).click();
      await page.waitForURL(/\/ui\/login\?return=%2Fui%2Ft%2Facme%2F/);
      await field.waitFor(); // the page that was left asks no more
    });
    await logIn(reader.key);
    await page.waitForURL(/\/ui\/t\/acme\//);
  });

  await ui.step("log out everywhere ends the other browser's session", async () => {
    await page.goto("about:blank"); // its session ends, too
    const first = await ui.page({ key: reader.key });
    const second = await ui.page({ key: reader.key });
    await ui.open(first, "/ui/t/acme/overview");
    await ui.open(second, "/ui/t/acme/overview");
    await first.getByRole("button", { name: /^Account/ }).click();
    await first.getByRole("menuitem", { name: "Log out everywhere" }).click();
    await ui.expecting(401, /^\/v1\//, async () => {
      await first.getByRole("dialog").getByRole("button", { name: "Log out everywhere" }).click();
      await first.waitForURL(/\/ui\/login/);
      await second.waitForURL(/\/ui\/login\?return=/); // its overview listens, so it finds out by itself
    });
    for (const p of [first, second]) await p.context().close();
  });

  await ui.step("the way back leads to our own pages only", async () => {
    for (const evil of ["https://evil.example/", "//evil.example/ui/", "/ui/../v1/tenants", "/\\evil.example", "javascript:alert(1)", "/v1/tenants"]) {
      const fresh = await ui.page({ key: null });
      await unauthorized(() => ui.open(fresh, `/ui/login?return=${encodeURIComponent(evil)}`));
      await fresh.getByLabel("API key", { exact: true }).fill(ui.key);
      await fresh.getByRole("button", { name: "Log in" }).click();
      await fresh.waitForURL((url) => url.pathname !== "/ui/login");
      await ui.settled(fresh);
      assert.equal(new URL(fresh.url()).origin + new URL(fresh.url()).pathname, `${ui.base}/ui/`, evil);
      await fresh.context().close();
    }
  });

  await ui.step("another origin of the same site can neither change nor read anything", async () => {
    const other = createServer((req, res) => res.setHeader("Content-Type", "text/html").end("<!doctype html><title>other</title>")).listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    ui.closers.push(() => (other.close(), other.closeAllConnections()));
    const context = await ui.context({ watched: false });
    await ui.signIn(context);
    const stranger = await context.newPage();
    await stranger.goto(`http://127.0.0.1:${other.address().port}/`);
    const got = await stranger.evaluate(async (base) => {
      const attempt = (path, options) => fetch(base + path, { credentials: "include", ...options }).then((r) => r.type + r.status, () => "refused");
      const socket = new Promise((done) => {
        const s = new WebSocket(`${base.replace(/^http/, "ws")}/v1/tenants/acme/socket`);
        s.onopen = () => done("open");
        s.onerror = () => done("refused");
      });
      return {
        read: await attempt("/v1/tenants"),
        create: await attempt("/v1/tenants", { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"name":"stolen"}' }),
        simple: await attempt("/v1/tenants", { method: "POST", mode: "no-cors", body: '{"name":"stolen"}' }),
        form: await attempt("/v1/tenants/acme/events", { method: "POST", mode: "no-cors", headers: { "Content-Type": "text/plain" }, body: '{"type":"stolen"}' }),
        end: await attempt("/v1/sessions", { method: "DELETE" }),
        socket: await socket,
      };
    }, ui.base);
    assert.deepEqual(got, { read: "refused", create: "refused", simple: "refused", form: "opaque0", end: "refused", socket: "refused" });
    assert.deepEqual((await ui.api("GET", "/v1/tenants")).data.map((t) => t.name), ["acme", "globex"]);
    assert.equal((await ui.api("GET", "/v1/tenants/acme/events")).data.length, 0, "another origin has published");
    assert.equal((await context.request.get(`${ui.base}/v1/me`)).status(), 200, "another origin has ended the session");
    // It cannot show our pages in a frame either.
    await stranger.setContent(`<iframe src="${ui.base}/ui/"></iframe>`);
    await until("the frame is refused", async () => stranger.frames().some((f) => f.url().startsWith("chrome-error:")));
    await context.close();
  });

  await ui.step("a session whose time is over is told, and logging in goes on where one was", async () => {
    const soon = await ui.context();
    await ui.server("stop");
    await ui.server("start --session-lifetime 20s");
    await ui.signIn(soon, reader.key);
    const [listens, rests] = [await soon.newPage(), await soon.newPage()];
    await ui.open(listens, "/ui/t/acme/overview"); // this one has to be open before the time is over
    await listens.getByRole("status").filter({ hasText: "Live" }).first().waitFor();
    await ui.expecting(401, /^\/v1\//, () => ui.open(rests, "/ui/t/acme/endpoints?q=shop"));
    await ui.expecting(401, /^\/v1\//, async () => {
      // A page that listens finds out by itself, any other when it is used.
      await listens.waitForURL(/\/ui\/login\?return=%2Fui%2Ft%2Facme%2Foverview&error=session_ended$/);
      await listens.getByText("Your session has ended.").waitFor();
      await ui.axe(listens);
      await rests.reload();
      await rests.waitForURL(/\/ui\/login\?return=%2Fui%2Ft%2Facme%2Fendpoints%3Fq%3Dshop/);
    });
    await ui.server("stop");
    await ui.server("start");
    await rests.getByLabel("API key", { exact: true }).fill(reader.key);
    await rests.getByRole("button", { name: "Log in" }).click();
    await rests.waitForURL("**/ui/t/acme/endpoints?q=shop");
    await rests.getByRole("heading", { level: 1, name: "Endpoints" }).waitFor();
    await soon.close();
  });

  await ui.step("guessing is slowed down, and told", async () => {
    const guesser = await ui.page({ key: null });
    await unauthorized(() => ui.expecting(429, /^\/v1\/session$/, async () => {
      await ui.open(guesser, "/ui/login");
      const alert = guesser.getByRole("alert").filter({ hasText: "Too many requests" });
      const guess = async (n) => (await fetch(`${ui.base}/v1/session`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ key: `ph_guess-${n}` }) })).status;
      let n = 0;
      while ((await guess(n)) === 401) assert.ok(++n < 15, "nobody slows the guessing down");
      await guesser.getByLabel("API key", { exact: true }).fill("ph_guess-again");
      await guesser.getByRole("button", { name: "Log in" }).click();
      await alert.waitFor();
      await reads("when to try again is told", () => alert.innerText(), /try again in \d+ seconds?/i);
      await ui.axe(guesser);
    }));
  });
});
