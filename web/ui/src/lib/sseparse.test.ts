import assert from "node:assert/strict";
import { test } from "node:test";
import { SSEParser, TOO_LONG, backoff } from "./sseparse";

const whole = ":hello\n\nid: 7\nevent: order.paid\ndata: {\"a\":1}\n\ndata\n\ndata: one\r\ndata: two\r\n\r\nretry: 1500\rid: 8\rdata:x\r\r\n";

test("a stream reads the same however it is cut", () => {
  const expected = [
    { event: "order.paid", data: '{"a":1}', id: "7" },
    { event: "message", data: "", id: "7" },
    { event: "message", data: "one\ntwo", id: "7" },
    { event: "message", data: "x", id: "8" },
  ];
  for (let size = 1; size <= whole.length; size++) {
    const parser = new SSEParser();
    const got = [];
    for (let i = 0; i < whole.length; i += size) got.push(...parser.feed(whole.slice(i, i + size)));
    assert.deepEqual(got, expected, `in pieces of ${size}`);
    assert.equal(parser.retry, 1500);
    assert.equal(parser.lastId, "8");
  }
});

test("an unfinished message is not given, its id not taken", () => {
  const parser = new SSEParser();
  assert.deepEqual(parser.feed("\ufeffid: 3\ndata: x\n"), []);
  assert.equal(parser.lastId, "");
  assert.equal(parser.feed("\n").length, 1);
  assert.equal(parser.lastId, "3");
});

test("waits grow to half a minute and are never all alike", () => {
  assert.equal(backoff(0, () => 0), 250);
  assert.equal(backoff(0, () => 1), 500);
  assert.equal(backoff(50, () => 1), 30_000);
  assert.ok(backoff(3, () => 0) >= 2000);
});

test("of a message that is too long only the place is taken, and the stream goes on", () => {
  const parser = new SSEParser();
  const got = parser.feed("id: 4\nevent: request\ndata: ");
  for (let i = 0; i < 27; i++) got.push(...parser.feed("x".repeat(1 << 20)));
  got.push(...parser.feed("\r"), ...parser.feed("\n\r\nid: 5\ndata: y\n\n"));
  assert.deepEqual(got, [
    { event: TOO_LONG, data: "", id: "4" },
    { event: "message", data: "y", id: "5" },
  ]);
});
