import assert from "node:assert/strict";
import { test } from "node:test";
import { schemaLines } from "./schema";
import { jsonFault } from "$lib/jsonfault";

const short = (schema: unknown): string[] => schemaLines(schema).map((l) => `${"  ".repeat(l.depth)}${l.name}${l.required ? "!" : ""} ${l.type}`.trimEnd().replace(/^ (?! )/, ""));

test("a schema reads as its members", () => {
  assert.deepEqual(
    short({
      type: "object",
      required: ["order", "lines"],
      properties: {
        order: { type: "integer", description: "The number", minimum: 1 },
        note: { type: ["string", "null"] },
        lines: { type: "array", items: { $ref: "#/$defs/line" } },
        tags: { type: "array", items: { type: "string" } },
        pay: { oneOf: [{ const: "card" }, { type: "object", properties: { iban: { type: "string" } } }] },
      },
      $defs: { line: { type: "object", required: ["sku"], properties: { sku: { type: "string" }, more: { $ref: "#/$defs/line" } } } },
    }),
    ["order! integer", "note string | null", "lines! array<object>", "  sku! string", "  more → line", "tags array<string>", "pay oneOf", "  oneOf 1 enum", "  oneOf 2 object", "    iban string"],
  );
  const line = schemaLines({ type: "object", properties: { a: { enum: ["x", 1, null], format: "email", default: false, description: "d" } } })[0];
  assert.equal(line?.description, "d");
  assert.deepEqual(line?.limits, [
    { word: "enum", value: '"x", 1, null' },
    { word: "format", value: "email" },
    { word: "default", value: "false" },
  ]);
});

test("odd schemas do no harm", () => {
  assert.deepEqual(short(true), ["any"]);
  assert.deepEqual(short(false), ["never"]);
  assert.deepEqual(short({}), [""]);
  assert.deepEqual(short({ type: "string", format: "email" }), ["string"]);
  assert.deepEqual(short({ $ref: "#" }), ["→ #"]);
  assert.ok(schemaLines({ $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } } }).length === 1);
  assert.deepEqual(short({ $ref: "https://elsewhere.example/x" }), ["→ https://elsewhere.example/x"]);
  assert.deepEqual(short({ properties: { __proto__x: { type: "string" }, constructor: { type: "string" } } }), ["__proto__x string", "constructor string"]);
  let deep: unknown = { type: "string" };
  for (let i = 0; i < 100; i++) deep = { type: "object", properties: { a: deep } };
  assert.ok(schemaLines(deep).length < 20);
  const wide = { properties: Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`m${i}`, {}])) };
  assert.ok(schemaLines(wide).length <= 1000);
  assert.equal(new Set(schemaLines({ anyOf: [{ properties: { a: {} } }, { properties: { a: {} } }] }).map((l) => l.path)).size, 5);
});

test("where a text is no JSON", () => {
  assert.equal(jsonFault(""), undefined);
  assert.equal(jsonFault('{"a":1}'), undefined);
  const fault = jsonFault('{\n  "a": 1,\n}');
  assert.equal(fault?.line, 3);
  assert.ok((fault?.why.length ?? 0) > 3);
});
