import assert from "node:assert/strict";
import { test } from "node:test";
import type { Delivery } from "$api";
import { hex, sizeOf, textOf, unpack } from "$lib/bytes";
import { sourceOf } from "./origin";
import { pace } from "./pace";
import { againBody, requestCurl } from "./request";
import { oneRow, rowsOf, shortId } from "./row";
import { lengthOf, place, spread, ticks } from "./scale";
import { summed } from "./arrival";
import { celOf, couldBeId, endsEarly, faultIn, presetSince, understand } from "./search";

test("the search box is understood", () => {
  assert.deepEqual(understand("type:order.* subject:order/42*,order/7 Ada  Lovelace"), { types: ["order.*"], subjects: ["order/42*", "order/7"], id: "", version: 0, text: "Ada Lovelace" });
  assert.equal(understand("01a2023f-6567-79ac-8556-23bbde3f2347").id, "01a2023f-6567-79ac-8556-23bbde3f2347");
  assert.equal(understand("id:seed-12").id, "seed-12");
  assert.equal(understand("#599").version, 599);
  assert.equal(understand("version:7").version, 7);
  assert.equal(understand("#not-a-number").text, "#not-a-number");
  assert.deepEqual(understand("  "), { types: [], subjects: [], id: "", version: 0, text: "" });
  assert.equal(understand("urn:isbn:1").text, "urn:isbn:1", "other words with colons are text");
  assert.ok(couldBeId("seed-7") && !couldBeId("order/42") && !couldBeId("two words") && !couldBeId("a"));
});

test("a text becomes a filter that cannot be broken out of", () => {
  assert.equal(celOf("", "a > 1"), "a > 1");
  assert.match(celOf('x" || true', ""), /id\.contains\("x\\" \|\| true"\)/);
  assert.match(celOf("x", "a || b"), /^\(\na \|\| b\n\) && \(id\.contains/);
  assert.equal(faultIn("line 2, column 4: no", "x"), "line 1, column 4: no");
  assert.equal(faultIn("line 2, column 4: no", ""), "line 2, column 4: no");
  const open = "line 3, column 1: Syntax error: mismatched input ')' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, IDENTIFIER}";
  assert.ok(endsEarly(open, "x", "data.total >") && !endsEarly(open, "x", "a\n> )") && endsEarly("line 1, column 13: Syntax error: mismatched input '<EOF>' expecting …", "", "data.total >"));
  assert.ok(!endsEarly("line 2, column 4: mismatched input ')'", "x", "a > )"));
  assert.equal(faultIn(open, "x"), "line 2, column 1: Syntax error: mismatched input ')'");
  assert.equal(presetSince("15m", 1_000_000), 100_000);
  assert.equal(presetSince("", 1), undefined);
});

test("rows keep the text of the data as it was published", () => {
  const rows = rowsOf('{"data":[{"id":"a","type":"t","version":7,"time":"2026-01-01T00:00:00Z","data":{"n":12345678901234567890.10}},{"id":"b","type":"u","version":6,"data_base64":"aGk=","datacontenttype":"text/plain"},{"id":"c","type":"v","version":5}],"next":"x"}');
  assert.deepEqual(rows.map((r) => [r.id, r.version, r.summary, r.size, r.media]), [
    ["a", 7, '{"n":12345678901234567890.10}', 29, ""],
    ["b", 6, "", 2, "text/plain"],
    ["c", 5, "", 0, ""],
  ]);
  assert.equal(oneRow('{"id":"a","type":"t","version":1,"data":"two\\nlines"}')?.summary, "two lines");
  assert.deepEqual(rowsOf('{"data":null}'), []);
  assert.equal(shortId("01a2023f-6567-79ac-8556-23bbde3f2347"), "01a202…de3f2347");
  assert.equal(shortId("seed-7"), "seed-7");
});

test("data that is no JSON is text, or bytes", () => {
  assert.equal(textOf(unpack("SGVsbG8K")), "Hello\n");
  assert.equal(textOf(new Uint8Array([0xff, 0xfe])), undefined);
  assert.equal(textOf(new Uint8Array([0x61, 0x00])), undefined);
  assert.equal(hex(new Uint8Array([0x89, 0x50, 0x4e, 0x47])), `000000  ${"89 50 4e 47".padEnd(47)}  ·PNG`);
  assert.equal(hex(new Uint8Array(40), 0, 32).split("\n").length, 2);
  assert.equal(unpack("no base 64!").length, 0);
  assert.equal(sizeOf("žluť"), 6);
});

test("one mark tells the worst of an event's deliveries, and whether it may change", () => {
  const one = (state: Delivery["state"], more: Partial<Delivery> = {}): Delivery => ({ endpoint: "e", matched: true, state, attempts: 1, ...more });
  assert.deepEqual(summed([], false), { state: "nobody", all: 0, delivered: 0, more: false, open: false });
  assert.deepEqual(summed([one("none")], false), { state: "unknown", all: 0, delivered: 0, more: false, open: false });
  assert.deepEqual(summed([one("delivered"), one("none")], true), { state: "delivered", all: 1, delivered: 1, more: true, open: false });
  assert.deepEqual(summed([one("delivered"), one("failed"), one("retrying")], false), { state: "failed", all: 3, delivered: 1, more: false, open: true });
  assert.equal(summed([one("delivered"), one("waiting", { waiting: "paused" })], false).state, "waiting");
  assert.equal(summed([one("delivered", { in_flight: true })], false).state, "pending", "it is being sent again");
});

test("marks stay apart, in order and on the line", () => {
  assert.deepEqual(spread([10, 12, 200], 25, 300), [10, 35, 200]);
  assert.deepEqual(spread([290, 295, 299], 25, 300), [250, 275, 300]);
  const many = spread(Array.from({ length: 40 }, () => 150), 25, 300);
  assert.ok(many.every((x, i) => x >= -1e-6 && x <= 300 + 1e-6 && (i === 0 || x > (many[i - 1] ?? 0))));
  assert.equal(place(0, 1000), 0);
  assert.equal(place(1000, 1000), 1);
  assert.ok(place(10, 86_400_000) > 0.05 && place(3_600_000, 86_400_000) < 0.95);
  const marks = ticks(86_400_000, 600);
  assert.ok(marks.length >= 4 && marks.every((at, i) => i === 0 || (place(at, 86_400_000) - place(marks[i - 1] ?? 0, 86_400_000)) * 600 >= 64));
  assert.ok(lengthOf(5000) >= 5000 && lengthOf(5000) < 6800 && lengthOf(5000) === lengthOf(5001) && lengthOf(0) >= 100);
});

test("it is looked again only while something is to come", () => {
  const one = (d: Partial<Delivery>): Delivery => ({ endpoint: "e", matched: true, state: "delivered", attempts: 1, ...d });
  assert.equal(pace([one({}), one({ state: "failed" }), one({ state: "gone" })], 0, 0), undefined);
  assert.equal(pace([one({ state: "pending" })], 0, 0), 2000);
  assert.equal(pace([one({ state: "pending" })], 100, 0), 15_000);
  assert.equal(pace([one({ state: "waiting", waiting: "paused" })], 0, 0), 5000);
  assert.equal(pace([one({ state: "retrying", next_at: "1970-01-01T10:00:00Z" })], 30, 0), 15_000);
  assert.equal(pace([one({ in_flight: true })], 3, 0), 2000);
});

test("commands hold the event as it is", () => {
  const event = '{"id":"a","source":"/s","type":"t","time":"2026-01-01T00:00:00Z","data":{"n":1.10,"q":"it\'s"},"version":7,"origin":{"method":"POST"}}';
  assert.equal(againBody(event), '{"source":"/s","type":"t","data":{"n":1.10,"q":"it\'s"}}');
  const text = requestCurl({ method: "POST", url: "https://x.example/h", headers: [{ name: "A", value: "b c" }], body: "AAE=", base64: true, size: 2 });
  assert.equal(text, "printf %s AAE= | base64 -d | curl -X POST https://x.example/h \\\n  -H 'A: b c' \\\n  --data-binary @-");
});

test("an event's source is read from the address that was called", () => {
  const from = (url: string): string | undefined => sourceOf({ type: "t", origin: { method: "POST", target: "/", url, remote: "", headers: [] } }, "acme");
  assert.equal(from("https://hooks.example/in/acme/github?x=1"), "github");
  assert.equal(from("https://hooks.example/in/other/github"), undefined);
  assert.equal(from("::no address"), undefined);
  assert.equal(sourceOf({ type: "t" }, "acme"), undefined);
});
