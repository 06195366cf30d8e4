import assert from "node:assert/strict";
import { test } from "node:test";
import { CHUNK, flatten, member, openUpTo, parse, pretty } from "./json";

test("numbers, keys and doubles stay as written", () => {
  const text = '{"__proto__":{"x":1},"n":12345678901234567890.10,"n":2,"constructor":"c"}';
  const rows = flatten(parse(text), new Set(["$"]));
  assert.deepEqual(rows.map((r) => [r.label, r.value]), [[undefined, ""], ["__proto__", ""], ["n", "12345678901234567890.10"], ["n", "2"], ["constructor", "c"]]);
  assert.equal(new Set(rows.map((r) => r.path)).size, rows.length, "paths are unique");
  assert.equal(member(text, "n"), "12345678901234567890.10");
  assert.match(pretty(text), /"n": 12345678901234567890\.10,/);
});

test("what is no JSON is refused, as JSON.parse refuses it", () => {
  for (const bad of ["", "{", "[1,]", "{'a':1}", "01", "1 2", '"\n"', "nul", '{"a" 1}', "[1", '"\\x"', "+1", "[".repeat(5000)]) {
    assert.throws(() => parse(bad), SyntaxError, bad.slice(0, 20));
  }
  for (const good of ["0", "-1.5e+10", '"\\u00e9\\n"', "[]", "{}", " [ 1 , null , true ] "]) assert.doesNotThrow(() => parse(good), good);
  assert.equal(pretty("no json"), "no json");
});

test("long arrays come in ranges, and only what is open is walked", () => {
  const root = parse(JSON.stringify({ items: Array.from({ length: 250 }, (_, i) => i) }));
  const open = new Set(["$", "$.items"]);
  const rows = flatten(root, open);
  assert.deepEqual(rows.map((r) => r.label), [undefined, "items", "0 … 99", "100 … 199", "200 … 249"]);
  assert.equal(flatten(root, new Set([...open, rows[4]?.path ?? ""])).length, 5 + 50);
  assert.equal(CHUNK, 100);
});

test("opening stays within its limit", () => {
  const root = parse(JSON.stringify(Array.from({ length: 50 }, () => ({ a: 1, b: [1, 2, 3] }))));
  for (const limit of [1, 10, 60, 300]) assert.ok(flatten(root, openUpTo(root, limit)).length <= Math.max(1, limit));
});
