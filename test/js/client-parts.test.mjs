// The parts of the JavaScript client that decide.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EventParser } from "../../web/client/lib/stream.js";
import { Known, Ways } from "../../web/client/lib/ways.js";

/** The blocks of a text that arrives in pieces of n characters. */
function parse(text, n) {
  const parser = new EventParser();
  const blocks = [];
  for (let i = 0; i < text.length; i += n) blocks.push(...parser.push(text.slice(i, i + n)));
  return blocks;
}

test("server-sent events, however they are cut", () => {
  const text = "\uFEFFretry: 2000\nid: 6\n\n: keep-alive\n\nid: 7\nevent: order.paid\ndata: {\"a\":1}\n\n" +
    "id:8\r\ndata: one\r\ndata:two\r\n\r\ndata\n\nid: 9\rdata:  x\r\rid: 1\0\n\nid\n\ndata: unfinished";
  const want = [
    { id: "6", data: undefined }, { id: "7", data: '{"a":1}' }, { id: "8", data: "one\ntwo" }, { id: undefined, data: "" },
    { id: "9", data: " x" }, { id: "", data: undefined },
  ];
  for (let n = 1; n <= text.length; n++) assert.deepEqual(parse(text, n), want, `pieces of ${n}`);
});

test("an event without an end is not kept for ever", () => {
  const parser = new EventParser();
  assert.throws(() => {
    for (let i = 0; i < 100; i++) [...parser.push("data: ".padEnd(1 << 20, "x"))];
  }, /too large/);
});

const order = ["websocket", "sse", "poll"];
const make = (known = new Known(60_000)) => new Ways(order, known, { min: 100, max: 1000 }, () => 1);

test("a transport that has never worked is left at the first failure", () => {
  const ways = make();
  assert.equal(ways.choose(0), "websocket");
  assert.equal(ways.failed("websocket", 0, {}), 0);
  assert.equal(ways.choose(0), "sse");
  assert.equal(ways.failed("sse", 0, {}), 0);
  assert.equal(ways.choose(0), "poll");
  assert.deepEqual(ways.better("poll", 10_000), { way: "websocket", wait: 50_000 });
  assert.equal(ways.choose(60_000), "websocket");
});

test("one that has worked is tried three times, with longer and longer pauses", () => {
  const ways = make();
  ways.opened("websocket", 0);
  assert.deepEqual([ways.failed("websocket", 10_000), ways.failed("websocket", 10_100), ways.failed("websocket", 10_300)], [100, 200, 0]);
  assert.equal(ways.choose(10_300), "sse");
  assert.equal(ways.choose(15_300), "websocket", "sooner than one that never has");
});

test("when nothing gets through, all is forgotten: it is the network", () => {
  const ways = make();
  for (const way of order) ways.failed(way, 0, {});
  assert.equal(ways.choose(0), "websocket");
  const pauses = [];
  for (let i = 0; i < 6; i++) pauses.push(ways.failed("poll", 0, {}));
  assert.deepEqual(pauses, [200, 400, 800, 1000, 1000, 1000]);
});

test("when only the last one is refused, the others stay as they are", () => {
  const ways = make();
  ways.failed("websocket", 0);
  ways.failed("sse", 0);
  assert.equal(ways.failed("poll", 0, { reachable: true, retryAfter: 5000 }), 5000);
  assert.equal(ways.choose(5000), "poll");
});

test("connections that break as soon as they are open count as failures", () => {
  const ways = make();
  for (let i = 0; i < 3; i++) {
    assert.equal(ways.choose(i * 1000), "websocket");
    ways.opened("websocket", i * 1000);
    ways.failed("websocket", i * 1000 + 500);
  }
  assert.equal(ways.choose(3000), "sse");
});

test("what is known is shared, and the time until a next try doubles", () => {
  const known = new Known(60_000);
  const [a, b] = [make(known), make(known)];
  a.failed("websocket", 0);
  assert.equal(b.choose(0), "sse");
  b.failed("websocket", 0);
  assert.equal(known.until("websocket"), 60_000, "found out twice, counted once");
  a.failed("websocket", 60_000);
  assert.equal(known.until("websocket"), 180_000);
  for (let at = 180_000, i = 0; i < 10; i++, at = known.until("websocket")) a.failed("websocket", at);
  const at = known.until("websocket");
  a.failed("websocket", at);
  assert.equal(known.until("websocket") - at, 600_000);
  a.failed("sse", 0, { retryAfter: 1000 });
  assert.equal(known.until("sse"), 1000);
});
