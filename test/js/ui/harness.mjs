// What the tests of the web UI share. A flow is a program: node ui/FLOW.mjs BASE-URL ROOT-KEY. It opens Debian's Chromium, and
// fails for anything that a page must not do: write an error or a warning on the console, throw, break its
// Content-Security-Policy, ask another host, get an answer that the flow does not expect, open a dialog.
//
// UI_PATIENCE is the longest wait in milliseconds; UI_STEP chooses steps by a regular expression; UI_TIMES=1 tells how long each
// took; UI_FAILURES is how many may fail before the flow ends; UPDATE_SCREENS=1 writes the pictures of docs/screens anew.
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import axe from "axe-core";
import { launch } from "../chromium.mjs";

const patience = Number(process.env.UI_PATIENCE ?? 120_000); // the machine may be busy
const screens = fileURLToPath(new URL("../../../docs/screens/", import.meta.url));
const pages = fileURLToPath(new URL("../../../web/ui/src/pages/", import.meta.url));
const out = fileURLToPath(new URL("../out/ui/", import.meta.url));
const desktop = { width: 1280, height: 800 };
const phone = { width: 360, height: 740 };
const tooManyFailures = Number(process.env.UI_FAILURES ?? 4);

/** Runs a flow: body gets a UI, and calls its steps. */
export async function flow(name, body) {
  const ui = new UI(name, process.argv[2], process.argv[3]);
  mkdirSync(out, { recursive: true });
  try {
    ui.browser = await launch();
    await body(ui);
  } catch (e) {
    ui.failures.push(`${ui.at}: ${e.stack}`);
    await ui.lastLook();
  } finally {
    await ui.browser?.close();
    for (const close of ui.closers) close();
  }
  for (const failure of ui.failures) console.error(`✗ ${name}: ${failure}`);
  process.exit(ui.failures.length ? 1 : 0);
}

export class UI {
  constructor(name, base, key) {
    Object.assign(this, { name, base, key, at: "start", failures: [], failed: 0, tooMany: false, faults: [], allowed: [], offline: false, muted: false, closers: [], hosts: new Set([base]), contexts: [] });
  }

  /** A part of the flow. When it fails the next ones are tried all the same, up to a bound. */
  async step(name, body) {
    if (this.tooMany || !new RegExp(process.env.UI_STEP ?? "").test(name)) return;
    this.at = name;
    const begun = Date.now();
    try {
      await body();
      this.clean();
    } catch (e) {
      this.failures.push(`${name}: ${e.stack}`);
      await this.lastLook();
      this.faults.length = 0;
      this.offline = false;
      if (++this.failed >= tooManyFailures) this.tooMany = true;
    }
    if (process.env.UI_TIMES) console.error(`${this.name}: ${name}: ${Date.now() - begun} ms`);
  }

  /** Fails when a page did what it must not do. */
  clean() {
    const list = this.faults.splice(0);
    assert.deepEqual(list, [], "what the pages must not do");
  }

  /** Keeps a picture and the text of every page for the one who mends. */
  async lastLook() {
    const file = `${out}${this.name}-${this.at.replace(/\W+/g, "-")}`;
    let n = 0;
    for (const context of this.contexts) {
      for (const page of context.pages()) {
        await page.screenshot({ path: `${file}${n++ || ""}.png`, timeout: 5000 }).catch(() => {});
        const tree = await page.locator("main").ariaSnapshot({ timeout: 5000 }).catch(() => "");
        this.failures.push(`the page was ${page.url()} (${await page.title().catch(() => "")}), see ${file}.png; faults ${JSON.stringify(this.faults)}\n${tree.slice(0, 3000)}`);
      }
    }
  }

  /** A browser of its own: cookies, storage, cache. Everything in it is watched. */
  async context({ viewport = desktop, theme = "light", language = "en-GB", watched = true } = {}) {
    const context = await this.browser.newContext({
      viewport, colorScheme: theme, locale: language, timezoneId: "UTC", reducedMotion: "reduce", permissions: ["clipboard-read", "clipboard-write"],
    });
    context.setDefaultTimeout(patience);
    this.contexts.push(context);
    if (watched) await this.#watch(context);
    return context;
  }

  /** A page of a browser of its own, signed in with a key; the root key when none is named, nobody with null. */
  async page(options = {}) {
    const { key = this.key } = options;
    const context = await this.context(options);
    if (key) await this.signIn(context, key);
    return context.newPage();
  }

  /** Signs in without the form. */
  async signIn(context, key = this.key) {
    const res = await context.request.post(`${this.base}/v1/session`, { data: { key } });
    assert.equal(res.status(), 200, `signing in: ${await res.text()}`);
  }

  async #watch(context) {
    const note = (text) => this.muted || this.faults.push(text);
    const expected = new WeakMap(); // what was allowed when a request was sent: its answer may come when the flow is further
    await context.addInitScript(observe);
    context.on("console", (m) => {
      const text = m.text();
      // Answers and requests are judged by themselves.
      if (!["error", "warning"].includes(m.type()) || text.startsWith("Failed to load resource") || (this.offline && /net::ERR_|Failed to fetch|Unable to preload CSS/.test(text))) return;
      note(`console ${m.type()}: ${text.slice(0, 600)} (${m.location().url})`);
    });
    context.on("weberror", (e) => note(`thrown: ${e.error().stack?.slice(0, 800)}`));
    context.on("dialog", (d) => {
      if (d.type() !== "beforeunload") note(`dialog: ${d.type()} ${d.message()}`);
      d.accept().catch(() => {});
    });
    context.on("request", (r) => {
      const url = new URL(r.url());
      expected.set(r, [...this.allowed]);
      if (["http:", "https:", "ws:", "wss:"].includes(url.protocol) && !this.hosts.has(url.origin.replace(/^ws/, "http"))) note(`asked another host: ${r.url()}`);
    });
    context.on("requestfailed", (r) => {
      const why = r.failure()?.errorText;
      if (why !== "net::ERR_ABORTED" && !this.offline) note(`request failed: ${why} ${r.method()} ${r.url()}`);
    });
    context.on("response", (r) => {
      if (r.status() < 400 || this.offline) return;
      const path = new URL(r.url()).pathname;
      if ([...this.allowed, ...(expected.get(r.request()) ?? [])].some(([status, match]) => status === r.status() && match.test(path))) return;
      note(`${r.status()} ${r.request().method()} ${r.url()}`);
    });
  }

  /** Answers with this status at paths like this are no fault, when body runs while they are asked for or come. */
  async expecting(status, path, body) {
    const entry = [status, path];
    this.allowed.push(entry);
    try {
      return await body();
    } finally {
      this.allowed.splice(this.allowed.indexOf(entry), 1);
    }
  }

  /** Opens a page of the UI and waits until it is settled. */
  async open(page, path) {
    await page.goto(this.base + path);
    await this.settled(page);
  }

  /** Waits until a page says that it is not busy. */
  async settled(page) {
    await page.locator("h1").first().waitFor();
    await until("the page is not busy", async () => (await page.locator("[aria-busy=true]").count()) === 0);
    await page.evaluate(() => document.fonts.ready.then(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))));
  }

  /** Waits until the page has told something in a message at its edge, once for each call: messages go away by themselves. */
  async told(page, text) {
    await until(`the page tells "${text}"`, () => page.evaluate((part) => {
      const at = window.__told.findIndex((e) => e.textContent.includes(part));
      return at >= 0 && window.__told.splice(at, 1).length > 0;
    }, text));
  }

  /** Fails when the page moved by itself since it was opened. */
  async noShift(page) {
    const { sum, sources } = await page.evaluate(() => window.__shift);
    assert.ok(sum < 0.02, `the layout of ${page.url()} shifted by ${sum}: ${sources.join("; ")}`);
  }

  /** Fails when the page is wider than the window. */
  async fits(page) {
    const wide = await page.evaluate(() => {
      const root = document.documentElement;
      if (root.scrollWidth <= window.innerWidth) return null;
      const far = [...document.body.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > window.innerWidth + 1);
      return `${root.scrollWidth} px wide: ${far.slice(0, 5).map((e) => `${e.tagName}.${e.className} ${e.textContent.trim().slice(0, 40)}`).join(" | ")}`;
    });
    assert.equal(wide, null, `${page.url()} is wider than the window`);
  }

  /** Fails when axe-core finds a fault that WCAG 2.2 A or AA names. */
  async axe(page, { only, exclude = [] } = {}) {
    if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe.source); // evaluating is not subject to the page's policy
    const found = await page.evaluate(
      async ({ only, exclude }) => {
        const runOnly = only ? { type: "rule", values: only } : { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] };
        const { violations } = await window.axe.run({ include: [["html"]], exclude: exclude.map((e) => [e]) }, { runOnly, resultTypes: ["violations"] });
        return violations.map((v) => `${v.id} (${v.help}): ${v.nodes.slice(0, 4).map((n) => `${n.target.join(" ")} ${n.any.map((a) => a.message).join(" ")} ${n.html.slice(0, 160)}`).join("\n      ")}`);
      },
      { only, exclude },
    );
    assert.ok(found.length === 0, `axe at ${page.url()}:\n    ${found.join("\n    ")}`);
  }

  /** Everything that holds for every page: both themes, a phone's width, pictures under a name. All that is wrong is told at once. */
  async look(page, name) {
    const wrong = [];
    const check = (what) => what.catch((e) => wrong.push(e.message));
    await check(this.noShift(page));
    await check(this.axe(page));
    await this.#shot(page, `${name}-light`);
    await page.emulateMedia({ colorScheme: "dark" });
    await check(this.axe(page, { only: ["color-contrast", "link-in-text-block"] }));
    await this.#shot(page, `${name}-dark`);
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize(phone);
    await this.settled(page);
    await check(this.fits(page));
    await check(this.axe(page, { only: ["target-size", "scrollable-region-focusable", "color-contrast", "region", "landmark-unique", "aria-hidden-focus", "empty-heading", "button-name", "link-name"] }));
    await this.#shot(page, `${name}-phone`);
    await page.setViewportSize(desktop);
    assert.equal(wrong.length, 0, `${name}:\n${wrong.join("\n")}`);
  }

  async #shot(page, name) {
    if (process.env.UPDATE_SCREENS !== "1") return;
    mkdirSync(screens, { recursive: true });
    await this.settled(page);
    await page.screenshot({ path: `${screens}${name}.png`, animations: "disabled" });
  }

  /** Follows the links of the UI from some addresses, at most `each` pages of a route, and calls visit at each. The visited addresses by route. */
  async crawl(page, start, { each = 1, visit }) {
    const visited = new Map();
    const waiting = [...start];
    const seen = new Set(waiting);
    while (waiting.length) {
      const address = waiting.shift();
      const route = routeOf(new URL(address, this.base).pathname);
      const list = visited.get(route) ?? [];
      if (list.length >= each) continue;
      visited.set(route, [...list, address]);
      await this.open(page, address);
      await visit(route, address);
      const links = await page.evaluate(() => [...document.querySelectorAll("a[href]")].map((a) => a.href));
      for (const link of links.map((l) => new URL(l))) {
        const to = link.pathname + link.search;
        if (link.origin !== this.base || !link.pathname.startsWith("/ui/") || seen.has(to)) continue;
        seen.add(to);
        waiting.push(to);
      }
    }
    return visited;
  }

  /** Calls the API with a key; the answer's body, or an error with it. */
  async api(method, path, body, { key = this.key, headers = {} } = {}) {
    const res = await fetch(this.base + path, {
      method, headers: { Authorization: `Bearer ${key}`, ...(body !== undefined && { "Content-Type": "application/json" }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await res.text();
    if (!res.ok) throw new Error(`${method} ${path}: ${res.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  /** Asks the one that runs this flow to "kill", "stop" or "start" the server, and waits until it has. */
  async server(order) {
    this.offline = true;
    if ((await this.#order(order)) !== "done") throw new Error(`nobody does "${order}": run this flow by go test`);
  }

  /** Runs "posthorn listen" for an address; the tunnel's URL. */
  listen(address) {
    return this.#order(`listen ${address}`);
  }

  async #order(order) {
    this.orders ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]();
    console.log(order);
    return (await this.orders.next()).value;
  }

  /** A server of ours that notes every request: what endpoints send to. */
  async receiver(answer = () => ({})) {
    const requests = [];
    const server = createServer(async (req, res) => {
      const parts = [];
      for await (const part of req) parts.push(part);
      const request = { method: req.method, path: req.url, headers: req.headers, body: Buffer.concat(parts).toString() };
      requests.push(request);
      const { status = 200, headers = {}, body = "ok", delay = 0 } = (await answer(request)) ?? {};
      if (delay) await new Promise((done) => setTimeout(done, delay));
      res.writeHead(status, headers).end(body);
    }).listen(0, "127.0.0.1");
    server.keepAliveTimeout = 120_000; // what closes connections early is another test's
    await new Promise((resolve) => server.once("listening", resolve));
    this.closers.push(() => (server.close(), server.closeAllConnections()));
    return { url: `http://127.0.0.1:${server.address().port}`, requests };
  }
}

/** The routes of the UI, as its source lists them. */
export const routes = readdirSync(pages, { recursive: true })
  .filter((file) => basename(file) === "routes.ts")
  .flatMap((file) => [...readFileSync(join(pages, file), "utf8").matchAll(/^\s*\{?\s*path: "([^"]+)"/gm)].map((m) => m[1]));

/** The route that an address has, such as /t/:tenant/events/:id. */
export function routeOf(path) {
  const parts = path.replace(/^\/ui/, "").split("/").filter(Boolean);
  const fits = (route) => {
    const pattern = route.split("/").filter(Boolean);
    return pattern.length === parts.length && pattern.every((p, i) => p.startsWith(":") || p === parts[i]);
  };
  const rank = (route) => route.split("/").map((p) => (p.startsWith(":") ? 1 : 0)).join("");
  return routes.filter(fits).sort((a, b) => rank(a).localeCompare(rank(b)))[0] ?? `no route: ${path}`;
}

/** Runs in every page before its scripts: notes what moves, which messages come, and what the policy refused. */
function observe() {
  window.__told = [];
  new MutationObserver((list) => {
    for (const { addedNodes } of list) for (const e of addedNodes) if (e instanceof Element && e.matches("[role=region][aria-live] > *")) window.__told.push(e);
  }).observe(document, { childList: true, subtree: true });
  window.__shift = { sum: 0, sources: [] };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (entry.hadRecentInput) continue;
      window.__shift.sum += entry.value;
      const what = entry.sources.map((s) => `${s.node?.nodeName}.${s.node?.className ?? ""}#${(s.node?.textContent ?? "").trim().slice(0, 30)} ${s.previousRect.x},${s.previousRect.y},${s.previousRect.width},${s.previousRect.height}→${s.currentRect.x},${s.currentRect.y},${s.currentRect.width},${s.currentRect.height}`);
      window.__shift.sources.push(`${entry.value.toFixed(4)} ${what.join(" | ")}`);
    }
  }).observe({ type: "layout-shift", buffered: true });
  document.addEventListener("securitypolicyviolation", (e) => console.error(`policy: ${e.effectiveDirective} refused ${e.blockedURI} ${e.sample} at ${e.sourceFile}:${e.lineNumber}`));
}

/** Waits until a condition holds. */
export async function until(what, holds, limit = patience) {
  const end = Date.now() + limit;
  for (;;) {
    const value = await holds();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await new Promise((done) => setTimeout(done, 30));
  }
}

/** Waits until what is read is what is expected; when it never is, the difference is told. */
export async function becomes(what, read, expected, limit = patience) {
  let seen;
  await until(what, async () => isDeepStrictEqual((seen = await read()), expected), limit).catch((e) => {
    assert.deepEqual(seen, expected, what);
    throw e;
  });
}

/** Waits until a text that is read fits a pattern, and gives it. */
export async function reads(what, read, pattern, limit = patience) {
  let seen = "";
  await until(what, async () => pattern.test((seen = await read())), limit).catch(() => assert.match(seen, pattern, what));
  return seen;
}
