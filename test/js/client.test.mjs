// The JavaScript client against a server with faults.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { afterEach, test } from "node:test";
import { promisify } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import WebSocket from "ws";
import { Posthorn, PosthornError } from "../../web/client/posthorn.js";
import { Fake } from "./fake.mjs";

const ways = ["websocket", "sse", "poll"];
const open = [];

afterEach(async () => {
  for (const end of open.splice(0).reverse()) await end();
});

/** Starts a server at a port, or at one outside the range from which connections take theirs: it stays free while the server is away. */
async function server(settings = {}, port) {
  for (;;) {
    try {
      const fake = Object.assign(await new Fake().start(port ?? 12_000 + Math.floor(Math.random() * 8000)), settings);
      open.push(() => fake.stop());
      return fake;
    } catch (error) {
      if (port !== undefined || error.code !== "EADDRINUSE") throw error;
    }
  }
}

function client(fake, options = {}) {
  const c = new Posthorn({
    url: fake.url, tenant: "acme", key: "k", backoff: { min: 10, max: 50 }, connectTimeout: 20_000, retryBetterAfter: 60_000, // the machine may be busy
    openSocket: (url, protocols, headers) => new WebSocket(url, protocols, { headers }), ...options,
  });
  open.push(() => c.close());
  return c;
}


setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");

/** An iterator that a for-await loop does not close. */
function reader(sub) {
  const it = sub[Symbol.asyncIterator]();
  return async (n) => {
    const got = [];
    while (got.length < n) {
      const { done, value } = await it.next();
      if (done) break;
      got.push(value.version);
    }
    return got;
  };
}

/** Resolves with the first change of state that fits. */
function state(c, fits) {
  return new Promise((resolve) => {
    const see = ({ detail }) => {
      if (!fits(detail)) return;
      c.removeEventListener("state", see);
      resolve(detail);
    };
    c.addEventListener("state", see);
  });
}

const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

for (const way of ways) {
  test(`${way}: what is stored, then what comes`, async () => {
    const fake = await server();
    fake.add(700);
    const sub = client(fake, { transports: [way] }).subscribe({ start: 1 });
    const next = reader(sub);
    assert.deepEqual(await next(700), range(1, 700));
    fake.add(3);
    assert.deepEqual(await next(3), [701, 702, 703]);
    assert.equal(sub.transport, way);
    assert.equal(sub.version, 702, "the last one is being handled");
  });

  test(`${way}: without a start, what comes after ready`, async () => {
    const fake = await server();
    fake.add(5);
    const sub = client(fake, { transports: [way] }).subscribe();
    await sub.ready;
    fake.add(2);
    assert.deepEqual(await reader(sub)(2), [6, 7]);
  });

  test(`${way}: a place moves on past what is not selected`, async () => {
    const fake = await server({ keepAlive: 20 });
    fake.add(3);
    fake.add(1, { type: "user.made" });
    fake.add(50);
    const c = client(fake, { transports: [way] });
    const sub = c.subscribe({ start: 1, types: ["user.made"] });
    const next = reader(sub);
    assert.deepEqual(await next(1), [4]);
    await until(() => sub.start === 55);
    fake.cut();
    fake.add(1, { type: "user.made" });
    assert.deepEqual(await next(1), [55]);
    const last = fake.asked.findLast((a) => a.query?.start || a.message?.start);
    assert.equal(Number(last.query?.start ?? last.message.start), 55, "it does not read again what it has passed");
  });

  test(`${way}: cut again and again, each event once`, async () => {
    const fake = await server();
    fake.add(1);
    const sub = client(fake, { transports: [way] }).subscribe({ start: 1, window: 20 });
    const got = [];
    for await (const event of sub) {
      got.push(event.version);
      if (got.length === 2000) break;
      if (fake.log.length < 2000) fake.add(3);
      if (event.version % 150 === 0) fake.cut();
    }
    assert.deepEqual(got, range(1, 2000));
    await sub.done;
  });

  test(`${way}: a restart of the server`, async () => {
    const fake = await server();
    fake.add(2);
    const c = client(fake, { transports: [way] });
    const next = reader(c.subscribe({ start: 1 }));
    await next(2);
    const waits = state(c, (s) => s.state === "waiting");
    await fake.stop();
    await waits;
    const again = await server({ log: fake.log }, fake.port);
    again.add(2);
    assert.deepEqual(await next(2), [3, 4]);
  });

  test(`${way}: what is gone ends it, or is skipped when asked to`, async () => {
    const fake = await server({ oldest: 4 });
    fake.add(6);
    const c = client(fake, { transports: [way] });
    const sub = c.subscribe({ start: 1 });
    await assert.rejects(sub.done, { code: "gone", oldest: 4 });
    await assert.rejects(sub.ready, { code: "gone" });
    await assert.rejects(reader(sub)(1), { code: "gone" });
    assert.deepEqual(await reader(c.subscribe({ start: 1, gone: "oldest" }))(3), [4, 5, 6]);
  });

  test(`${way}: a refused token is made anew`, async () => {
    const fake = await server({ tokens: new Set(["t1"]) });
    let made = 0;
    const c = client(fake, { key: undefined, transports: [way], getToken: async () => `t${++made}` });
    fake.add(1);
    const next = reader(c.subscribe({ start: 1 }));
    await next(1);
    fake.tokens = new Set(["t2"]);
    if (way === "websocket") fake.closeSockets(1008);
    else fake.cut();
    fake.add(1);
    assert.deepEqual(await next(1), [2]);
    assert.equal(made, 2);
  });

  test(`${way}: a token that is never taken ends it`, async () => {
    const fake = await server({ tokens: new Set() });
    const transports = way === "websocket" ? ["websocket", "poll"] : [way];
    const told = [];
    const sub = client(fake, { key: undefined, token: "bad", transports }).subscribe({ start: 1, onError: (e) => told.push(e.code) }, () => {});
    await assert.rejects(sub.done, { code: "unauthorized", status: 401 });
    await until(() => told.length > 0);
    assert.deepEqual(told, ["unauthorized"]);
  });

  test(`${way}: a lost event is read again`, async (t) => {
    if (way === "poll") return t.diagnostic("a page is whole or not there");
    const fake = await server({ lost: new Set([3]) });
    fake.add(5);
    const c = client(fake, { transports: [way] });
    const gap = state(c, (s) => s.state === "waiting");
    assert.deepEqual(await reader(c.subscribe({ start: 1 }))(5), range(1, 5));
    assert.equal((await gap).error.code, "gap");
  });

  test(`${way}: a slow handler is not run over`, async () => {
    const fake = await server();
    fake.add(5000, { data: { text: "x".repeat(1000) } });
    const got = [];
    let most = 0;
    const sub = client(fake, { transports: [way] }).subscribe({ start: 1, window: 8 }, async (event) => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      got.push(event.version);
      if (way !== "poll") most = Math.max(most, fake.asked.length);
      if (got.length === 100) sub.close();
    });
    await sub.done;
    assert.deepEqual(got, range(1, 100));
    assert.ok(sub.start <= 100 + 2 * 8, `it took ${sub.start - 1} events`);
    if (way === "websocket") assert.ok(fake.ahead <= 8, `${fake.ahead} were sent ahead`);
  });
}

test("events sent twice are given once", async () => {
  const fake = await server({ twice: true });
  fake.add(50);
  for (const way of ["websocket", "sse"]) {
    assert.deepEqual(await reader(client(fake, { transports: [way] }).subscribe({ start: 1 }))(50), range(1, 50));
  }
});

test("a gap that stays ends the subscription", async () => {
  const fake = await server();
  fake.add(5);
  fake.log.splice(2, 1, fake.log[3]); // version 3 is not there
  fake.log.splice(3, 1);
  const sub = client(fake, { transports: ["poll"] }).subscribe({ start: 1 });
  await assert.rejects(sub.done, { code: "gap" });
});

test("a token that sees less has gaps by right", async () => {
  const fake = await server();
  fake.add(5);
  fake.lost = new Set([2, 3]);
  const claims = Buffer.from(JSON.stringify({ exp: Date.now() / 1000 + 3600, posthorn: { types: ["order.*"] } })).toString("base64url");
  const c = client(fake, { key: undefined, token: `x.${claims}.x`, transports: ["websocket"] });
  assert.deepEqual(await reader(c.subscribe({ start: 1 }))(3), [1, 4, 5]);
});

test("it goes down to what works", async () => {
  const fake = await server({ broken: { socket: true } });
  fake.add(2);
  const c = client(fake);
  assert.deepEqual(await reader(c.subscribe({ start: 1 }))(2), [1, 2]);
  assert.equal(c.transport, "sse");
  fake.broken = { socket: true, stream: true };
  fake.cut();
  fake.add(1);
  const sub = c.subscribe({ start: 1 });
  assert.deepEqual(await reader(sub)(3), [1, 2, 3]);
  assert.equal(sub.transport, "poll");
  assert.equal(fake.count("socket"), 1, "what did not work is not tried by each subscription");
});

test("a proxy that holds streams back", async () => {
  const fake = await server({ broken: { socket: "mute", bytes: "mute" } });
  fake.add(2);
  const c = client(fake, { connectTimeout: 100 });
  const sub = c.subscribe({ start: 1 });
  assert.deepEqual(await reader(sub)(2), [1, 2]);
  assert.equal(sub.transport, "poll");
});

test("it comes back to what is better, and nothing is lost or doubled", async () => {
  const fake = await server({ broken: { socket: true, stream: true } });
  const c = client(fake, { retryBetterAfter: 50 });
  const seen = [];
  const all = new Promise((resolve) => {
    c.subscribe({ start: 1 }, (event, sub) => {
      seen.push(event.version);
      if (sub.transport === "poll") fake.broken = { socket: true };
      if (sub.transport === "sse") fake.broken = {};
      if (sub.transport === "websocket") resolve();
    });
  });
  const timer = setInterval(() => fake.add(1), 20);
  await all;
  clearInterval(timer);
  assert.deepEqual(seen, range(1, seen.length));
});

test("a server that is away is waited for, and the transport that worked comes back", async () => {
  const fake = await server();
  const c = client(fake, { retryBetterAfter: 1200 });
  const sub = c.subscribe({ start: 1 });
  await sub.ready;
  let waits = 0;
  c.addEventListener("state", ({ detail }) => (waits += detail.state === "waiting" ? 1 : 0));
  await fake.stop();
  await until(() => waits > 8);
  const again = await server({}, fake.port);
  again.add(1);
  assert.deepEqual(await reader(sub)(1), [1]);
  await until(() => sub.transport === "websocket");
});

for (const way of ["websocket", "sse"]) {
  test(`${way}: a connection that falls silent is left`, async () => {
    const fake = await server({ keepAlive: 20 });
    const c = client(fake, { transports: [way], keepAlive: 50 });
    const sub = c.subscribe({ start: 1 });
    await sub.ready;
    const left = state(c, (s) => s.state === "waiting");
    fake.broken = { bytes: "hang" };
    fake.add(1);
    collect(); // Node's fetch forgets that it can be aborted
    assert.equal((await left).error.code, "timeout");
    fake.broken = {};
    assert.deepEqual(await reader(sub)(1), [1]);
  });
}

test("a quiet WebSocket stays when pings are answered", async () => {
  const fake = await server();
  const c = client(fake, { transports: ["websocket"], keepAlive: 300 });
  const sub = c.subscribe({ start: 1 });
  await sub.ready;
  await until(() => fake.count("socket ping") > 4);
  assert.equal(fake.count("socket"), 1);
  assert.equal(sub.state, "open");
});

test("subscriptions share a WebSocket, and it closes when nobody needs it", async () => {
  const fake = await server();
  fake.add(1);
  const c = client(fake);
  const subs = Array.from({ length: 20 }, () => c.subscribe({ start: 1 }));
  for (const sub of subs) assert.deepEqual(await reader(sub)(1), [1]);
  assert.equal(fake.count("socket"), 1);
  for (const sub of subs) sub.close();
  await until(() => fake.open === 0);
});

test("a subscription that is refused leaves the others", async () => {
  const fake = await server({ oldest: 3 });
  fake.add(3);
  const c = client(fake, { transports: ["websocket"] });
  const good = c.subscribe({ start: 3 });
  await assert.rejects(c.subscribe({ start: 1 }).done, { code: "gone" });
  assert.deepEqual(await reader(good)(1), [3]);
  assert.equal(fake.count("socket"), 1);
});

test("too many streams: the next transport, and back after the time named", async () => {
  const fake = await server();
  fake.add(1);
  fake.broken = { stream: (res, problem) => problem(429, "too_many_streams", {}, { "Retry-After": "1" }) };
  const c = client(fake, { transports: ["sse", "poll"] });
  const sub = c.subscribe({ start: 1 });
  const next = reader(sub);
  await next(1);
  assert.equal(sub.transport, "poll");
  fake.broken = {};
  await until(() => sub.transport === "sse" && sub.state === "open");
});

test("what the server says of the request ends it at once", async () => {
  const fake = await server();
  fake.broken = { stream: (res, problem) => problem(422, "invalid", { errors: [{ field: "filter", message: "is not CEL" }] }) };
  const sub = client(fake, { transports: ["sse", "poll"] }).subscribe({ filter: "(" });
  await assert.rejects(sub.done, { code: "invalid", message: /filter: is not CEL/ });
});

test("polls that something in between ends become shorter, a restart does not shorten them", async () => {
  const fake = await server();
  const waits = [];
  const c = client(fake, { transports: ["poll"] });
  const original = fake.broken;
  fake.broken = {
    get changes() {
      const { query } = fake.asked.at(-1);
      waits.push(Number(query.wait ?? 0));
      if (Number(query.wait ?? 0) <= 3) return undefined;
      return (res) => setTimeout(() => res.writeHead(504).end(), 2100);
    },
  };
  const sub = c.subscribe({ start: 1 });
  await sub.ready;
  await until(() => waits.at(-1) === 2 && waits.length > 3);
  assert.deepEqual(waits.slice(0, 4), [0, 25, 25, 2]);
  fake.broken = original;
  fake.add(1);
  assert.deepEqual(await reader(sub)(1), [1]);
});

test("an error of a handler ends its subscription and is told", async () => {
  const fake = await server();
  fake.add(3);
  const told = [];
  const sub = client(fake).subscribe({ start: 1, onError: (e) => told.push(e.message) }, () => {
    throw new Error("cannot");
  });
  await assert.rejects(sub.done, { message: "cannot" });
  await until(() => told.length > 0);
  assert.deepEqual(told, ["cannot"]);
  assert.equal(sub.version, undefined, "it was not handled");
});

test("who looks at done need not give onError as well", async () => {
  const fake = await server({ tokens: new Set() });
  const sub = client(fake, { key: undefined, token: "bad" }).subscribe({ start: 1 }, () => {});
  await assert.rejects(sub.done, { code: "unauthorized" });
  await assert.rejects(sub.ready, { code: "unauthorized" });
  await new Promise((done) => setImmediate(done)); // by then an unhandled rejection would have failed this test
});

test("leaving a loop closes the subscription", async () => {
  const fake = await server();
  fake.add(3);
  const sub = client(fake).subscribe({ start: 1 });
  for await (const event of sub) if (event.version === 2) break;
  await sub.done;
  assert.equal(sub.state, "closed");
  assert.equal(sub.version, 1);
});

test("a signal closes a subscription", async () => {
  const fake = await server();
  const stop = new AbortController();
  const sub = client(fake).subscribe({ signal: stop.signal });
  await sub.ready;
  stop.abort();
  await sub.done;
  const late = client(fake).subscribe({ signal: stop.signal });
  await late.done;
  await assert.rejects(late.ready, { code: "closed" });
});

test("close ends everything", async () => {
  const fake = await server();
  const c = client(fake);
  const subs = ways.map((way) => c.subscribe({ transports: [way] }));
  await Promise.all(subs.map((s) => s.ready));
  c.close();
  await Promise.all(subs.map((s) => s.done));
  await until(() => fake.open === 0);
  assert.throws(() => c.subscribe(), { code: "closed" });
  await assert.rejects(c.publish({ type: "a" }), { code: "closed" });
  await assert.rejects(c.changes(), { code: "closed" });
});

test("publish: one, several, over both", async () => {
  const fake = await server();
  const c = client(fake);
  assert.deepEqual(await c.publish({ id: "a", type: "x" }), { id: "a", version: 1, duplicate: false });
  assert.deepEqual(await c.publish({ id: "a", type: "x" }), { id: "a", version: 1, duplicate: true });
  assert.equal(fake.count("events"), 2);
  await c.subscribe({}).ready;
  const many = await c.publish([{ type: "x" }, { type: "y" }], { idempotencyKey: "k1" });
  assert.deepEqual(many.map((m) => m.version), [2, 3]);
  assert.equal(fake.count("socket publish"), 1);
  assert.match(many[0].id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  await c.publish({ type: "x" }, { overHTTP: true });
  await c.publish({ type: "x", data: "x".repeat(300_000) });
  assert.equal(fake.count("events"), 4, "a large one goes over HTTP");
});

test("publish: a lost answer does not publish twice", async () => {
  const fake = await server();
  const c = client(fake);
  fake.unanswered = 2;
  assert.equal((await c.publish({ type: "x" })).version, 1);
  await c.subscribe({}).ready;
  fake.unanswered = 1;
  assert.equal((await c.publish({ type: "x" })).version, 2);
  assert.equal(fake.log.length, 2);
});

test("publish: what is refused is not tried again, and time ends", async () => {
  const fake = await server();
  const c = client(fake);
  fake.broken = { events: (res, problem) => problem(403, "forbidden") };
  await assert.rejects(c.publish({ type: "x" }), (e) => e instanceof PosthornError && e.code === "forbidden" && e.status === 403);
  assert.equal(fake.count("events"), 1);
  fake.broken = { events: (res, problem) => problem(503, "busy") };
  await assert.rejects(c.publish({ type: "x" }, { timeout: 1500 }), { code: "busy" });
  fake.broken = { events: (res) => void res };
  await assert.rejects(c.publish({ type: "x" }, { timeout: 200 }), { code: "timeout" });
});

test("changes", async () => {
  const fake = await server();
  fake.add(5);
  const c = client(fake);
  const page = await c.changes({ start: 2, limit: 2, types: ["order.paid"], subjects: ["a", "b*"], filter: "true" });
  assert.deepEqual([page.changes.map((e) => e.version), page.next, page.head], [[2, 3], 4, 5]);
  assert.deepEqual(fake.asked.at(-1).query, { start: "2", limit: "2", types: "order.paid", subject: "a,b*", filter: "true" });
  assert.equal(fake.asked.at(-1).headers.authorization, "Bearer k");
});

test("queues", async () => {
  const fake = await server();
  fake.add(1);
  const q = client(fake).queue("work/1");
  const leases = await q.lease({ max: 5, wait: "1s" });
  assert.equal(leases[0].event.version, 1);
  assert.equal((await q.ack(leases)).done, 1);
  await q.nack(leases[0], { delay: "10s" });
  await q.extend("r9", { visibility: "60s" });
  assert.deepEqual(fake.asked.map((a) => [a.what, a.body]), [
    ["queues/work%2F1/lease", { max: 5, wait: "1s" }], ["queues/work%2F1/ack", { receipts: ["r1"] }],
    ["queues/work%2F1/nack", { receipts: ["r1"], delay: "10s" }], ["queues/work%2F1/extend", { receipts: ["r9"], visibility: "60s" }],
  ]);
});

test("a token is made before it expires, by one call for all", async () => {
  const fake = await server();
  let made = 0;
  const token = (ms) => `x.${Buffer.from(JSON.stringify({ exp: (Date.now() + ms) / 1000 })).toString("base64url")}.x`;
  const c = client(fake, { key: undefined, getToken: async () => token(++made === 1 ? 1000 : 60_000) });
  await Promise.all([c.changes(), c.changes()]);
  assert.equal(made, 1);
  await c.changes();
  await c.changes();
  assert.equal(made, 2);
});

test("Node's own WebSocket sends the key in a header", async () => {
  const fake = await server({ tokens: new Set(["k"]) });
  fake.add(1);
  const code = `import { Posthorn } from ${JSON.stringify(new URL("../../web/client/posthorn.js", import.meta.url).href)};
    const c = new Posthorn({ url: "${fake.url}", tenant: "acme", key: "k" });
    c.subscribe({ start: 1 }, (e, s) => { process.stdout.write(s.transport + e.version); c.close(); });`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--experimental-websocket", "--input-type=module", "--eval", code]);
  assert.equal(stdout, "websocket1");
  assert.deepEqual(fake.asked[0].query, {}, "a key must not be in the address");
});

test("wrong options are named", () => {
  assert.throws(() => new Posthorn({ tenant: "a" }), /url is missing/);
  assert.throws(() => new Posthorn({ url: "ftp://x", tenant: "a" }), /http/);
  assert.throws(() => new Posthorn({ url: "http://x", tenant: "" }), /tenant/);
  assert.throws(() => new Posthorn({ url: "http://x", tenant: "a", key: "k", token: "t" }), /not both/);
  assert.throws(() => new Posthorn({ url: "http://x", tenant: "a", transports: ["pigeon"] }), /pigeon/);
  const c = new Posthorn({ url: "http://x", tenant: "a" });
  for (const bad of [{ start: 0 }, { start: 1.5 }, { window: 0 }, { window: 10_001 }, { gone: "skip" }]) assert.throws(() => c.subscribe(bad), RangeError);
});

/** Waits for what has no event of its own. */
async function until(condition, limit = 180_000) {
  const end = Date.now() + limit;
  while (!condition()) {
    assert.ok(Date.now() < end, "it did not come to pass in time");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
