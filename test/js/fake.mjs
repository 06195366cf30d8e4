// A Posthorn made of a list: the part of its HTTP API and WebSocket that listeners use (docs/live.md), with faults to switch on. The
// client's tests use it for what a real server cannot be made to do.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const base = "/v1/tenants/acme";

export class Fake {
  /** What it holds; version 1 is at 0. */
  log = [];
  /** Versions before it are gone. */
  oldest = 1;
  keepAlive = 15_000;
  /** Tokens that are let in; undefined: everybody. */
  tokens = undefined;
  /** Ways that are refused (404), "hang" after the first bytes or before them ("mute"). */
  broken = {};
  /** Versions that are left out, once each, when they are pushed. */
  lost = new Set();
  /** Whether each event is sent twice. */
  twice = false;
  /** Requests, by the last part of the path. */
  asked = [];
  /** The most events that were sent ahead of an ack. */
  ahead = 0;
  /** How many publishes are taken but not answered. */
  unanswered = 0;
  /** @type {Set<() => void>} */ #cuts = new Set();
  /** @type {Set<() => void>} */ #wakes = new Set();

  async start(port = 0) {
    this.server = createServer((req, res) => this.#request(req, res).catch((e) => res.destroy(e)));
    this.sockets = new WebSocketServer({ noServer: true });
    this.server.on("upgrade", (req, socket, head) => this.#upgrade(req, socket, head));
    await new Promise((resolve, reject) => this.server.once("error", reject).listen(port, "127.0.0.1", resolve));
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
    return this;
  }

  async stop() {
    this.cut();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** Publishes n events. */
  add(n = 1, event = {}) {
    for (let i = 0; i < n; i++) {
      const version = this.log.length + 1;
      this.log.push({ id: `e${version}`, type: "order.paid", time: "2026-01-01T00:00:00Z", data: { n: version }, ...event, version });
    }
    for (const wake of [...this.#wakes]) wake();
  }

  /** Breaks every connection. */
  cut() {
    for (const cut of [...this.#cuts]) cut();
  }

  count(what) {
    return this.asked.filter((a) => a.what === what).length;
  }

  get open() {
    return this.#cuts.size;
  }

  #change() {
    return new Promise((resolve) => {
      const end = () => {
        this.#wakes.delete(end);
        resolve();
      };
      this.#wakes.add(end);
    });
  }

  #allowed(req, url) {
    const token = req.headers.authorization?.replace(/^Bearer /, "") ?? url.searchParams.get("access_token");
    return !this.tokens || this.tokens.has(token);
  }

  #selects(query, event) {
    const types = [query.types ?? []].flat().join(",");
    return !types || types.split(",").includes(event.type);
  }

  #problem(res, status, code, more = {}, headers = {}) {
    res.writeHead(status, { "Content-Type": "application/problem+json", ...headers }).end(JSON.stringify({ status, code, detail: code, ...more }));
  }

  async #request(req, res) {
    const url = new URL(req.url, "http://x");
    const what = url.pathname.slice(base.length + 1);
    const query = Object.fromEntries(url.searchParams);
    let body = "";
    for await (const chunk of req) body += chunk;
    this.asked.push({ what, query, body: body ? JSON.parse(body) : undefined, headers: req.headers });
    const broken = this.broken[what];
    if (typeof broken === "function") return broken(res, (...problem) => this.#problem(res, ...problem));
    if (broken) return this.#problem(res, 404, "not_found");
    if (!this.#allowed(req, url)) return this.#problem(res, 401, "unauthorized");
    if (query.start !== undefined && Number(query.start) < this.oldest) return this.#problem(res, 410, "gone", { oldest: this.oldest });
    if (what === "changes") return this.#changes(res, query);
    if (what === "stream") return this.#stream(req, res, query);
    if (what === "events") return this.#publish(res, JSON.parse(body));
    if (what.startsWith("queues/")) return res.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify({ events: [{ receipt: "r1", event: this.log[0], deliveries: 1 }], done: 1, errors: [] }));
    return this.#problem(res, 404, "not_found");
  }

  #publish(res, body) {
    const done = this.#keep([body].flat());
    if (this.unanswered-- > 0) return res.destroy();
    const fresh = done.some((d) => !d.duplicate);
    res.writeHead(fresh ? 202 : 200, { "Content-Type": "application/json" }).end(JSON.stringify(Array.isArray(body) ? { events: done } : done[0]));
  }

  #keep(events) {
    return events.map((event) => {
      const known = this.log.find((e) => e.id === event.id);
      if (!known) this.add(1, event);
      return { id: event.id, version: known?.version ?? this.log.length, duplicate: Boolean(known) };
    });
  }

  async #changes(res, query) {
    const start = Number(query.start ?? this.oldest);
    const wait = Number(query.wait ?? 0);
    const cut = () => res.destroy();
    this.#cuts.add(cut);
    const end = Date.now() + wait * 1000;
    const ready = () => this.log.slice(start - 1).some((e) => this.#selects(query, e));
    while (!ready() && Date.now() < end && !res.destroyed) await Promise.race([this.#change(), after(end - Date.now(), res)]);
    this.#cuts.delete(cut);
    const all = this.log.slice(start - 1);
    const changes = all.filter((e) => this.#selects(query, e)).slice(0, Number(query.limit ?? 100));
    const next = changes.length === Number(query.limit ?? 100) ? changes.at(-1).version + 1 : this.log.length + 1;
    res.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify({ changes, next: Math.max(next, start), head: this.log.length }));
  }

  async #stream(req, res, query) {
    if (this.broken.bytes === "mute") return;
    res.setMaxListeners(0);
    res.writeHead(200, { "Content-Type": "text/event-stream" });
    let next = Number(query.start ?? this.log.length + 1);
    const cut = () => res.destroy();
    this.#cuts.add(cut);
    res.on("close", () => {
      this.#cuts.delete(cut);
      for (const wake of [...this.#wakes]) wake();
    });
    res.write(`retry: 2000\nid: ${next - 1}\n\n`);
    while (!res.destroyed && this.broken.bytes !== "hang") {
      for (; next <= this.log.length; next++) {
        const event = this.log[next - 1];
        if (!this.#selects(query, event) || this.#loses(next)) continue;
        const block = `id: ${next}\ndata: ${JSON.stringify(event)}\n\n`;
        if (!res.write(this.twice ? block + block : block)) await new Promise((resolve) => res.once("drain", resolve).once("close", resolve));
        if (res.destroyed) return;
      }
      await Promise.race([this.#change(), after(this.keepAlive, res)]);
      if (!res.destroyed && this.broken.bytes !== "hang") res.write(`: keep-alive\nid: ${next - 1}\n\n`);
    }
  }

  #loses(version) {
    return this.lost.delete(version);
  }

  #upgrade(req, socket, head) {
    const url = new URL(req.url, "http://x");
    this.asked.push({ what: "socket", query: Object.fromEntries(url.searchParams), headers: req.headers });
    socket.on("error", () => {}); // the client has gone
    if (this.broken.socket === "mute") return void this.#cuts.add(() => socket.destroy());
    if (this.broken.socket || !this.#allowed(req, url)) return socket.end(`HTTP/1.1 ${this.broken.socket ? 404 : 401} No\r\nConnection: close\r\n\r\n`);
    this.sockets.handleUpgrade(req, socket, head, (ws) => this.#socket(ws));
  }

  #socket(ws) {
    const subs = new Map();
    const cut = (code) => (typeof code === "number" ? ws.close(code) : ws.terminate());
    this.#cuts.add(cut);
    this.closeSockets = (code) => ws.close(code);
    ws.on("close", () => {
      this.#cuts.delete(cut);
      subs.clear();
      for (const wake of [...this.#wakes]) wake();
    });
    const send = (m) => ws.send(JSON.stringify(m));
    ws.on("message", (text) => {
      const m = JSON.parse(text);
      this.asked.push({ what: `socket ${m.type}`, message: m });
      if (this.broken.bytes === "hang") return;
      if (m.type === "ping") send({ type: "pong", ref: m.ref });
      if (m.type === "unsubscribe" && subs.delete(m.id)) send({ type: "unsubscribed", id: m.id });
      if (m.type === "ack" && subs.has(m.id)) subs.get(m.id).sent = subs.get(m.id).sent.filter((v) => v > m.version);
      if (m.type === "publish") this.#published(ws, send, m);
      if (m.type === "subscribe") void this.#subscribed(send, subs, m);
      for (const wake of [...this.#wakes]) wake();
    });
  }

  #published(ws, send, m) {
    const events = this.#keep(m.events ?? [m.event]);
    if (this.unanswered-- > 0) return ws.terminate();
    send({ type: "published", ref: m.ref, events });
  }

  async #subscribed(send, subs, m) {
    if (m.start !== undefined && m.start < this.oldest) return send({ type: "error", id: m.id, problem: { status: 410, code: "gone", detail: "gone", oldest: this.oldest } });
    const sub = { sent: [], next: m.start ?? this.log.length + 1 };
    subs.set(m.id, sub);
    send({ type: "subscribed", id: m.id, next: sub.next, head: this.log.length });
    while (subs.get(m.id) === sub && this.broken.bytes !== "hang") {
      while (sub.next <= this.log.length && (!m.window || sub.sent.length < m.window)) {
        const event = this.log[sub.next++ - 1];
        if (!this.#selects(m, event) || this.#loses(event.version)) continue;
        sub.sent.push(event.version);
        this.ahead = Math.max(this.ahead, sub.sent.length);
        for (let i = 0; i < (this.twice ? 2 : 1); i++) send({ type: "event", id: m.id, event });
      }
      if (sub.next > this.log.length) send({ type: "position", id: m.id, next: sub.next });
      await Promise.race([this.#change(), after(this.keepAlive)]);
    }
  }
}

/** Time, without keeping the process alive. */
function after(ms, res) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    timer.unref();
    res?.once("close", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
