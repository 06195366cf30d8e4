import assert from "node:assert/strict";
import { test } from "node:test";
import { takes } from "$lib/pattern";
import { fields, groups } from "./catalogue";

test("patterns take types as the server says", () => {
  assert.ok(takes("order.*", "order.paid"));
  assert.ok(!takes("order.*", "order.item.added"));
  assert.ok(takes("order.**", "order.item.added"));
  assert.ok(!takes("order.*", "order"));
  assert.ok(takes("*", "anything.at.all"));
  assert.ok(takes("*.paid", "order.paid"));
  assert.ok(!takes("order.paid", "order.paid.late"));
});

test("types stand in groups; what is only on the log is marked; deep groups have **", () => {
  const all = groups([{ name: "order.paid", description: "d" }, { name: "order.item.added" }, { name: "old.one", archived: true }, { name: "single" }], ["order.paid", "stock.low", "posthorn.test"]);
  assert.deepEqual(all.map((g) => [g.prefix, g.pattern, g.types.map((t) => t.name)]), [
    ["order", "order.**", ["order.item.added", "order.paid"]],
    ["", undefined, ["single"]],
    ["stock", "stock.*", ["stock.low"]],
  ]);
  assert.equal(all[2]?.types[0]?.seen, true);
});

test("fields come from schemas, examples and events, with kinds and values", () => {
  const found = fields(
    [{ name: "order.paid", schema: { properties: { total: { type: "number" }, state: { enum: ["new", "done"] }, customer: { properties: { vip: { type: "boolean" } } } } }, examples: [{ total: 1, tags: ["a"] }] }],
    [{ type: "order.paid", subject: "order/1", data: { customer: { country: "CZ" }, "zip-code": "1", nothing: null } }],
  );
  const kinds = Object.fromEntries(found.map((f) => [f.name, f.kind]));
  assert.equal(kinds["data.total"], "number");
  assert.equal(kinds["data.customer.vip"], "boolean");
  assert.equal(kinds["data.tags"], "list");
  assert.equal(kinds['data["zip-code"]'], "string");
  assert.ok(!("data.nothing" in kinds));
  assert.deepEqual(found.find((f) => f.name === "data.customer.country")?.values, ["CZ"]);
  assert.deepEqual(found.find((f) => f.name === "data.state")?.values, ["new", "done"]);
});

test("members of lists are fields, too; amounts written as texts are numbers, and numbers of orders are not", () => {
  const kinds = Object.fromEntries(fields([{ name: "a", schema: { properties: { lines: { type: "array", items: { properties: { price: { type: "number" } } } } } } }], [{ type: "a", data: { order: "1042", total: "1290.00", items: [{ sku: "A-1", count: 2, more: {} }] } }]).map((f) => [f.name, f.kind]));
  assert.equal(kinds["data.lines[].price"], "number");
  assert.equal(kinds["data.items"], "objects");
  assert.equal(kinds["data.items[].sku"], "string");
  assert.equal(kinds["data.items[].count"], "number");
  assert.ok(!("data.items[].more" in kinds));
  assert.equal(kinds["data.total"], "numeric");
  assert.equal(kinds["data.order"], "string");
});

test("a field that is a number here and a text there is anything; names that an object has by itself are names", () => {
  const found = fields([], [{ type: "a", data: { x: 1, __proto__x: 1, constructor: "c" } }, { type: "a", data: { x: "one" } }]);
  assert.equal(found.find((f) => f.name === "data.x")?.kind, "any");
  assert.equal(found.find((f) => f.name === "data.constructor")?.kind, "string");
});

test("deep and wide data do not drown the form", () => {
  const wide = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${i}`, i]));
  assert.ok(fields([], [{ type: "a", data: wide }]).length <= 310);
  let deep: unknown = 1;
  for (let i = 0; i < 100; i++) deep = { d: deep };
  assert.ok(fields([], [{ type: "a", data: deep }]).length < 10);
});
