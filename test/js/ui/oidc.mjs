// Signing in with an OpenID Connect provider: groups become roles, nobody without a role gets in, logging out holds everywhere.
// The provider is oidc.mjs of the folder above; its users are Olga (group ops: an administrator), Adam (one tenant) and Nora (no role).
import assert from "node:assert/strict";
import { flow, reads, until } from "./harness.mjs";

const provider = process.argv[4];

await flow("oidc", async (ui) => {
  await ui.api("POST", "/v1/tenants", { name: "acme" });
  await ui.api("POST", "/v1/tenants", { name: "globex" });
  ui.hosts.add(provider);

  /** Opens a page of the UI, which leads to the log-in, and signs in there as one of the provider's users. */
  async function signIn(user, { at = "/ui/", context } = {}) {
    const page = await (context ?? (await ui.context())).newPage();
    await ui.expecting(401, /^\/v1\//, async () => {
      await page.goto(ui.base + at);
      await page.getByRole("link", { name: /single sign-on/i }).or(page.getByRole("button", { name: /single sign-on/i })).click();
      await page.waitForURL(`${provider}/**`);
      await page.getByRole("button", { name: user }).click();
      await page.waitForURL(`${ui.base}/ui/**`);
      await ui.settled(page);
    });
    return page;
  }
  const me = async (page) => (await page.context().request.get(`${ui.base}/v1/me`)).json();

  await ui.step("an administrator by her group", async () => {
    const page = await signIn("Olga Ops");
    assert.equal(new URL(page.url()).pathname, "/ui/");
    const { kind, name, admin, session } = await me(page);
    assert.deepEqual({ kind, name, admin, session }, { kind: "user", name: "Olga Ops", admin: true, session: true });
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.context().close();
  });

  await ui.step("the session's cookie is for the server alone", async () => {
    const page = await signIn("Olga Ops");
    const cookie = (await page.context().cookies(ui.base)).find((c) => c.name === "posthorn_session");
    assert.ok(cookie, "no cookie posthorn_session");
    const { httpOnly, sameSite, domain, path } = cookie;
    assert.deepEqual({ httpOnly, sameSite, domain, path }, { httpOnly: true, sameSite: "Lax", domain: "127.0.0.1", path: "/" });
    assert.equal(await page.evaluate(() => document.cookie), "");
    await page.context().close();
  });

  await ui.step("one tenant by a group, and the way back to the page that was asked for", async () => {
    const page = await signIn("Adam Acme", { at: "/ui/t/acme/endpoints?q=shop" });
    assert.equal(page.url(), `${ui.base}/ui/t/acme/endpoints?q=shop`);
    const { admin, grants } = await me(page);
    assert.ok(!admin);
    assert.deepEqual(grants.map((g) => g.tenant), ["acme"]);
    assert.equal((await page.context().request.get(`${ui.base}/v1/tenants/globex/endpoints`)).status(), 403);
    assert.equal((await page.context().request.get(`${ui.base}/v1/apikeys`)).status(), 403);
    await page.context().close();
  });

  await ui.step("nobody without a role", async () => {
    const page = await signIn("Nora Nobody");
    assert.match(page.url(), /\/ui\/login\?error=oidc_no_role/);
    const alert = page.getByRole("alert");
    await reads("why is told", () => alert.innerText(), /role|group/i);
    assert.equal((await page.context().request.get(`${ui.base}/v1/me`)).status(), 401);
    await ui.axe(page);
    await page.context().close();
  });

  await ui.step("the user refuses at the provider", async () => {
    const page = await signIn("Refuse");
    assert.match(page.url(), /\/ui\/login\?error=oidc_denied/);
    await page.getByRole("alert").waitFor();
    await page.context().close();
  });

  await ui.step("an answer that nobody asked for is refused", async () => {
    const page = await (await ui.context()).newPage();
    await ui.expecting(401, /^\/v1\//, () => page.goto(`${ui.base}/ui/login/oidc/callback?code=stolen&state=made-up`));
    await page.waitForURL(/\/ui\/login\?error=oidc_/);
    assert.equal((await page.context().request.get(`${ui.base}/v1/me`)).status(), 401);
    // The way back leads to our own pages only.
    const res = await page.context().request.get(`${ui.base}/ui/login/oidc?return=https://evil.example/`, { maxRedirects: 0 });
    assert.ok(!decodeURIComponent(res.headers().location ?? "").includes("evil.example"), res.headers().location);
    await page.context().close();
  });

  await ui.step("log out, here and everywhere", async () => {
    const first = await signIn("Olga Ops");
    const second = await signIn("Olga Ops");
    await logOut(first, /^log out$/i);
    assert.equal((await me(second)).kind, "user", "logging out ended another browser's session");
    const third = await signIn("Olga Ops");
    await logOut(third, /everywhere/i);
    assert.equal((await second.context().request.get(`${ui.base}/v1/me`)).status(), 401);
    // The other browser's page finds out by itself, and comes back to where it was.
    await ui.expecting(401, /^\/v1\//, async () => {
      await second.goto(`${ui.base}/ui/t/acme/events`);
      await second.waitForURL(/\/ui\/login/);
    });
    for (const page of [first, second, third]) await page.context().close();
  });

  async function logOut(page, name) {
    await page.getByRole("button", { name: /account|signed in/i }).click();
    await ui.expecting(401, /^\/v1\//, async () => {
      await page.getByRole("menuitem", { name }).click();
      if (name.source.includes("everywhere")) await page.getByRole("dialog").getByRole("button", { name }).click();
      // Our own session has ended; the provider asks about its own, and leads back.
      await page.waitForURL(`${provider}/session/end?**`);
      await page.getByRole("button", { name: "Yes" }).click();
      await page.waitForURL(`${ui.base}/ui/login`);
      await ui.settled(page);
    });
    await until("the session has ended", async () => (await page.context().request.get(`${ui.base}/v1/me`)).status() === 401);
  }

  await ui.step("logging out at the provider ends the browser's session here, and no other", async () => {
    const first = await signIn("Olga Ops", { at: "/ui/tenants" });
    const second = await signIn("Olga Ops");
    await ui.expecting(401, /^\/v1\//, async () => {
      const there = await first.context().newPage();
      await there.goto(`${provider}/session/end`);
      await there.getByRole("button", { name: /yes/i }).click();
      await until("the session has ended", async () => (await first.context().request.get(`${ui.base}/v1/me`)).status() === 401);
      await first.reload();
      await first.waitForURL(/\/ui\/login\?return=%2Fui%2Ftenants&error=session_ended$/);
      await first.getByText("Your session has ended.").waitFor();
    });
    assert.equal((await me(second)).name, "Olga Ops", "another browser's session has ended, too");
    const { data } = await ui.api("GET", "/v1/audit?action=log-out-at-provider");
    assert.deepEqual(data.map((e) => [e.actor.kind, e.actor.name, e.outcome, e.resource]), [["user", "Olga Ops", "done", "session"]]);
    for (const page of [first, second]) await page.context().close();
  });

  await ui.step("who did it is on the audit log", async () => {
    const { data } = await ui.api("GET", "/v1/audit");
    const logins = data.filter((e) => e.action === "log-in");
    assert.ok(logins.some((e) => e.actor.kind === "user" && e.actor.name === "Olga Ops" && e.outcome === "done"), JSON.stringify(logins));
    assert.ok(logins.some((e) => e.outcome === "refused"), "a refused log-in has no line");
  });
});
