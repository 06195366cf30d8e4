// Scripts wherever a stranger can write: no page runs one, none becomes an element, and all of it can be read.
import assert from "node:assert/strict";
import { WebSocket } from "ws";
import { flow, routes, until } from "./harness.mjs";

const T = "/v1/tenants/acme";
// Each becomes an element with the attribute data-xss, or runs, when a page is careless in its way.
const payloads = {
  attribute: `"><img data-xss src=x onerror=alert(1)>`,
  quote: `' onmouseover='alert(2)' data-xss='`,
  script: `</textarea></script><script data-xss>alert(3)</script>`,
  svg: `<svg data-xss onload=alert(4)><animate onbegin=alert(5) attributeName=x dur=1s>`,
  address: `javascript:alert(6)//`,
  template: "{{constructor.constructor('alert(7)')()}}${alert(8)}{@html '<b data-xss>'}",
  bidi: "evil\u202Etxt.exe\u2066<b data-xss>\u0000",
  entity: `&lt;img data-xss src=x onerror=alert(9)&gt;&#x22;`,
  markdown: "[x](javascript:alert(10)) <iframe data-xss srcdoc='<script>alert(11)</script>'>",
};
const every = Object.values(payloads);
const all = every.join(" ");
const shown = all.replace("\u0000", "");

/** Asks, and returns undefined when the server refuses the value: then no page ever shows it. */
function offer(ui, ...request) {
  return ui.api(...request).catch((e) => {
    if (!/: (400|409|413|422) /.test(e.message)) throw e;
  });
}

/** A header's value as node sends it. */
const header = (text) => text.replace(/[^\x20-\x7e]/g, "");

/** Events: every attribute, names and values of extensions, data of several kinds. */
async function events(ui) {
  const list = [];
  for (const [n, text] of every.entries()) {
    for (const field of ["type", "subject", "source", "key", "id", "datacontenttype", "dataschema"]) {
      const event = { type: "evil.happened", data: { [text]: [text, { deep: text }] }, [field]: field === "source" || field === "dataschema" ? `https://x.example/?${encodeURI(text)}` : `${field}${n} ${text}` };
      list.push(await offer(ui, "POST", `${T}/events`, event));
      list.push(await offer(ui, "POST", `${T}/events`, { ...event, [field]: text }));
    }
    list.push(await offer(ui, "POST", `${T}/events`, { type: "evil.happened", channels: [text], data: text }));
    list.push(await offer(ui, "POST", `${T}/events`, { specversion: "1.0", id: `ext-${n}`, source: "/evil", type: "evil.happened", evilext: text, data: text }, { headers: { "Content-Type": "application/cloudevents+json" } }));
  }
  for (const type of ["text/html", "image/svg+xml", "application/xml", "text/plain"]) {
    const res = await fetch(`${ui.base}${T}/events`, { method: "POST", headers: { Authorization: `Bearer ${ui.key}`, "Content-Type": type, "ce-specversion": "1.0", "ce-id": `raw-${type.replace(/\W/g, "-")}`, "ce-source": "/evil", "ce-type": "evil.happened", "ce-subject": encodeURI(all) }, body: `<html xmlns="http://www.w3.org/1999/xhtml">${all}</html>` });
    assert.ok(res.status === 202 || res.status === 422, `${type}: ${res.status} ${await res.text()}`);
  }
  await ui.api("POST", `${T}/event-types`, { name: "evil.happened", description: shown, schema: { type: ["object", "string"], description: all, properties: { [payloads.script]: { description: all } } }, examples: [{ [payloads.script]: all }] });
  return list.filter(Boolean).length;
}

/** Endpoints whose texts are evil, and whose answers are. */
async function endpoints(ui) {
  const evil = await ui.receiver((r) => ({ status: r.path.startsWith("/500") ? 500 : 200, headers: { "Content-Type": "text/html", "X-Evil": header(all), Server: header(payloads.script) }, body: `<html>${all}</html>` }));
  const made = [];
  for (const path of ["/200", "/500"]) {
    made.push(await ui.api("POST", `${T}/endpoints`, { url: `${evil.url}${path}?q=${encodeURIComponent(all)}`, description: shown, headers: { "X-Evil": header(all) }, metadata: { evil: shown }, retries: ["1h"], timeout: "5s" }));
  }
  made.push(await offer(ui, "POST", `${T}/endpoints`, { url: `${evil.url}/plain?q='"><img/src=x/onerror=alert(12)/data-xss>`, description: payloads.bidi.replace("\u0000", "") }));
  made.push(await offer(ui, "POST", `${T}/endpoints`, { url: payloads.address, description: "an address that runs" }));
  await offer(ui, "POST", `${T}/endpoints`, { url: `${evil.url}/type`, types: [payloads.attribute], channels: [payloads.attribute] });
  return made.filter(Boolean);
}

/** Requests from outside: to a source, and to a bin in every part of them. */
async function requests(ui) {
  await ui.api("POST", `${T}/sources`, { name: "evil", provider: "none", description: shown, inspect: "all", settings: { type_header: "X-Type", id_header: "X-Id" }, metadata: { evil: shown } });
  await ui.api("POST", `${T}/sources`, { name: "closed", provider: "token", secrets: ["a-long-random-token"], settings: { query: "token" }, inspect: "all" });
  const bin = await ui.api("POST", "/v1/bins", { tenant: "acme", description: shown, answer: { status: 200, headers: { "Content-Type": "text/html", "X-Evil": header(all) }, body: "<script src='own.js'></script>" } });
  for (const base of [`${ui.base}/in/acme/evil`, `${ui.base}/in/acme/closed`, bin.url]) {
    for (const [n, text] of every.entries()) {
      const headers = { "X-Evil": header(text), "User-Agent": header(text), "x-'onload'": "name", "X-Type": header(text), "X-Id": `${n}${header(text)}`, Referer: header(text), Cookie: `a=${encodeURIComponent(text)}` };
      await fetch(`${base}/${encodeURIComponent(text)}?${encodeURIComponent(text)}=${encodeURIComponent(text)}`, { method: "POST", headers: { ...headers, "Content-Type": ["text/html", "image/svg+xml", "application/json", "application/xml"][n % 4] }, body: n % 4 === 2 ? JSON.stringify({ [text]: text }) : text });
      await fetch(`${base}/form`, { method: "POST", headers, body: new URLSearchParams({ [text]: text }) });
    }
    const boundary = "b";
    const parts = every.map((text) => `--${boundary}\r\nContent-Disposition: form-data; name="${text.replace(/["\r\n]/g, "%22")}"; filename="${text.replace(/["\r\n]/g, "%22")}.html"\r\nContent-Type: text/html\r\n\r\n${text}\r\n`);
    await fetch(`${base}/multipart`, { method: "POST", headers: { "Content-Type": `multipart/form-data; boundary=${boundary}` }, body: `${parts.join("")}--${boundary}--\r\n` });
  }
  const { data } = await ui.api("GET", `/v1/bins/${bin.id}/requests`);
  await ui.api("PATCH", `/v1/bins/${bin.id}/requests/${data[0].id}`, { note: shown });
  return bin;
}

/** Everything else that has a text. */
async function names(ui) {
  await ui.api("PATCH", "/v1/tenants/acme", { description: shown, metadata: { evil: shown } });
  await ui.api("PUT", `${T}/queues/evil`, { description: shown, types: ["evil.*"], start: 1 });
  for (const text of every) await offer(ui, "POST", "/v1/apikeys", { name: text, tenant: "acme", allow: ["read"] });
  await ui.api("POST", "/v1/apikeys", { name: payloads.attribute, tenant: "acme", allow: ["read"] });
  const svg = (text) => `data:image/svg+xml;base64,${Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" ${text}</svg>`).toString("base64")}`;
  for (const evil of ['onload="alert(13)">', "><script>alert(14)</script>", '><foreignObject><b xmlns="http://www.w3.org/1999/xhtml" data-xss="">x</b></foreignObject>', '><a href="javascript:alert(15)"><rect/></a>']) {
    assert.equal(await offer(ui, "PUT", `${T}/portal`, { logo: svg(evil) }), undefined, `the logo is taken: ${evil}`);
  }
  assert.equal(await offer(ui, "PUT", `${T}/portal`, { name: "x", logo: payloads.address }), undefined);
  assert.equal(await offer(ui, "PUT", `${T}/portal`, { name: "x", colour: "red;}</style><img data-xss>" }), undefined);
  await ui.api("PUT", `${T}/portal`, { name: payloads.attribute, logo: svg('width="20" height="20"><rect width="20" height="20"/>'), colour: "#b3231b" });
  const socket = new WebSocket(`${ui.base.replace(/^http/, "ws")}${T}/socket`, { headers: { Authorization: `Bearer ${ui.key}`, "User-Agent": header(all) } });
  ui.closers.push(() => socket.terminate());
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  socket.send(JSON.stringify({ type: "subscribe", id: payloads.attribute, types: ["evil.*"], subjects: [payloads.attribute] }));
}

/** Fails when a text became an element, an attribute or an address. */
async function unharmed(ui, page) {
  ui.clean();
  const found = await page.evaluate(() => {
    const bad = [...document.querySelectorAll("[data-xss], iframe, object, embed, [onerror], [onload], [onmouseover], script:not([src])")].map((e) => e.outerHTML.slice(0, 200));
    for (const e of document.querySelectorAll("[href], [src], [action], [formaction]")) {
      const to = e.getAttribute("href") ?? e.getAttribute("src") ?? e.getAttribute("action") ?? e.getAttribute("formaction");
      if (/^\s*(javascript|vbscript|data:text)/i.test(to)) bad.push(e.outerHTML.slice(0, 200));
    }
    return bad;
  });
  assert.deepEqual(found, [], `a text has become markup at ${page.url()}`);
}

/** Opens every part of a page that is closed: tabs, details, trees. */
async function unfold(ui, page) {
  for (const tab of await page.locator("main").getByRole("tab").all()) {
    if (!(await tab.isVisible()) || (await tab.isDisabled())) continue;
    await tab.click();
    await ui.settled(page);
    await unharmed(ui, page);
  }
  for (const part of await page.locator("main details:not([open]) > summary, main button[aria-expanded=false]:not([aria-haspopup])").all()) {
    if (await part.isVisible()) await part.click({ timeout: 2000 }).catch(() => {}); // it may have gone with another
  }
  await unharmed(ui, page);
}

await flow("xss", async (ui) => {
  await ui.api("POST", "/v1/tenants", { name: "acme" });
  let bin;
  await ui.step("texts are taken", async () => {
    const made = await endpoints(ui);
    assert.ok(made.length >= 2);
    bin = await requests(ui);
    assert.ok((await events(ui)) > 30);
    await names(ui);
    for (const endpoint of made) {
      await until("the answers are recorded", async () => (await ui.api("GET", `${T}/endpoints/${endpoint.id}/attempts`)).data.length > 0);
    }
  });
  const page = await ui.page();
  await ui.step("no page runs them", async () => {
    const visited = await ui.crawl(page, ["/ui/", "/ui/t/acme/overview"], { each: 5, visit: async () => {
      await unharmed(ui, page);
      await unfold(ui, page);
    } });
    assert.ok(visited.size >= routes.length - 4, `only ${[...visited.keys()]} were visited`);
  });
  await ui.step("what strangers answer on the server's own host cannot use the administrator's session", () => sandboxed(ui, page.context(), bin));
});

/** A page of a stranger's, on the server's own host, while an administrator is signed in. */
async function sandboxed(ui, context, bin) {
  const attack = `<!doctype html><title>harmless</title><script>document.title = "it runs"; fetch("/v1/me", { credentials: "include" }).then((r) => (document.title = "it reads " + r.status));</script>
    <iframe srcdoc="<script>top.document.title = 'it runs in a frame'</script>"></iframe><img src="x" onerror="document.title = 'it runs by an image'">
    <form method="post" action="/v1/tenants" enctype="text/plain"><input name='{"name":"stolen","x":"' value='"}'></form>`;
  await ui.api("PATCH", `/v1/bins/${bin.id}`, { answer: { status: 200, headers: { "Content-Type": "text/html" }, body: attack } });
  const evil = await ui.receiver(() => ({ headers: { "Content-Type": "text/html", "Set-Cookie": "posthorn_session=stolen; Path=/", "Content-Security-Policy": "sandbox allow-scripts allow-same-origin" }, body: attack }));
  const endpoint = await ui.api("POST", `${T}/endpoints`, { url: evil.url, types: ["sync.received"] });
  await ui.api("POST", `${T}/sources`, { name: "sync", provider: "none", sync: { endpoint: endpoint.id, wait: "20s" } });
  const tunnel = await ui.listen(evil.url.slice("http://".length));
  const stranger = await context.newPage();
  ui.muted = true; // what it tries is told on the console
  try {
    for (const address of [`${bin.url}/page`, `${ui.base}/in/acme/sync`, `${tunnel}/page`]) {
      const res = await stranger.goto(address);
      assert.match(res.headers()["content-security-policy"] ?? "", /sandbox/, address);
      assert.equal(await stranger.evaluate(() => self.origin), "null", `${address} has the server's origin`);
      assert.equal(await stranger.title(), "harmless", address);
      await stranger.evaluate(() => document.forms[0].submit()).catch(() => {});
    }
    assert.deepEqual((await ui.api("GET", "/v1/tenants")).data.map((t) => t.name), ["acme"]);
    assert.equal((await context.request.get(`${ui.base}/v1/me`)).status(), 200, "an answer has changed the session's cookie");
  } finally {
    await stranger.close();
    ui.faults.length = 0;
    ui.muted = false;
  }
}
