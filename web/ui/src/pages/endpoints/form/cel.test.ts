import assert from "node:assert/strict";
import { test } from "node:test";
import { complete, literal, notNumber, opsOf, path, read, write, type Condition, type Kind } from "./cel";

const any = (): Kind => "any";
const bare = (rows: Condition[] | undefined): Condition[] | undefined => rows?.map(({ field, op, value }) => ({ field, op, value }));

test("every operator is written, and read back as it was", () => {
  const cases: [Condition, Kind, string][] = [
    [{ field: "subject", op: "is", value: "order/1" }, "string", 'subject == "order/1"'],
    [{ field: "data.total", op: "gt", value: "100" }, "number", "data.total > 100"],
    [{ field: "data.total", op: "le", value: "-1.5" }, "number", "data.total <= -1.5"],
    [{ field: "data.vip", op: "isnot", value: "true" }, "boolean", "data.vip != true"],
    [{ field: "type", op: "starts", value: "order." }, "string", 'type.startsWith("order.")'],
    [{ field: "data.code", op: "ends", value: "x" }, "string", 'data.code.endsWith("x")'],
    [{ field: "data.name", op: "contains", value: "Ada" }, "string", 'data.name.contains("Ada")'],
    [{ field: "data.name", op: "notcontains", value: "Ada" }, "string", '!data.name.contains("Ada")'],
    [{ field: "data.country", op: "in", value: "CZ, SK" }, "string", 'data.country in ["CZ", "SK"]'],
    [{ field: "data.country", op: "notin", value: "CZ, SK" }, "string", '!(data.country in ["CZ", "SK"])'],
    [{ field: "data.customer.id", op: "has", value: "" }, "any", "has(data.customer.id)"],
    [{ field: "data.customer.id", op: "hasnot", value: "" }, "any", "!has(data.customer.id)"],
    [{ field: 'data["zip-code"]', op: "is", value: "x" }, "any", 'data["zip-code"] == "x"'],
  ];
  for (const [row, kind, text] of cases) {
    assert.equal(write({ all: true, rows: [row] }, () => kind), text);
    assert.deepEqual(bare(read(text)?.rows), [row], text);
  }
});

test("a channel and a member of a list are looked for with in", () => {
  assert.equal(write({ all: true, rows: [{ field: "channels", op: "contains", value: "brno" }] }, any), '"brno" in channels');
  assert.equal(write({ all: true, rows: [{ field: "data.tags", op: "notcontains", value: "7" }] }, () => "list"), '!("7" in data.tags)');
  assert.deepEqual(bare(read('!("brno" in channels)')?.rows), [{ field: "channels", op: "notcontains", value: "brno" }]);
});

test("all and any, with brackets around one", () => {
  assert.equal(read('data.a == 1 && (subject == "x")')?.all, true);
  assert.equal(read('data.a == 1 || subject == "x"')?.all, false);
  assert.equal(read('data.a == 1 || subject == "x" && data.b == 2'), undefined);
});

test("what says more than rows can is not read", () => {
  for (const text of [
    "data.total * 2 > 100",
    "data.items.exists(i, i.price > 5 && i.count > 1)",
    "data.items.all(i, i.price > 5)",
    '!data.a == "b"',
    '(data.a == 1 || data.b == 2) && data.c == 3',
    "size(data.items) > 1",
    'r"raw" in channels',
    "data.total >",
    "data.a",
    'data.a == "unended',
    'data.a in ["a,b", "c"]',
  ]) assert.equal(read(text), undefined, text);
});

test("a saved filter stays as it was written until its row is changed", () => {
  const source = "data.code == 5 && subject=='x'";
  const filter = read(source);
  assert.ok(filter);
  // The field turns out to hold text: an untouched row must not become another filter.
  assert.equal(write(filter, () => "string"), "data.code == 5 && subject=='x'");
  const [first, second] = filter.rows;
  assert.ok(first && second);
  assert.equal(write({ all: true, rows: [{ field: first.field, op: first.op, value: "6" }, second] }, () => "string"), `data.code == "6" && subject=='x'`);
});

test("members of a list, and texts that hold numbers", () => {
  const cases: [Condition, Kind, string][] = [
    [{ field: "data.items[].sku", op: "is", value: "A-1" }, "string", 'data.items.exists(x, x.sku == "A-1")'],
    [{ field: "data.items[].sku", op: "isnot", value: "A-1" }, "string", '!data.items.exists(x, x.sku == "A-1")'],
    [{ field: "data.items[].count", op: "gt", value: "5" }, "number", "data.items.exists(x, x.count > 5)"],
    [{ field: "data.items[].sku", op: "notin", value: "A, B" }, "string", '!data.items.exists(x, x.sku in ["A", "B"])'],
    [{ field: "data.items[].sku", op: "notcontains", value: "data.x" }, "string", '!data.items.exists(x, x.sku.contains("data.x"))'],
    [{ field: "data.items[].price", op: "ge", value: "5" }, "numeric", "data.items.exists(x, double(x.price) >= 5.0)"],
    [{ field: "data.total", op: "gt", value: "1000" }, "numeric", "double(data.total) > 1000.0"],
    [{ field: "data.total", op: "isnot", value: "10.5" }, "numeric", "double(data.total) != 10.5"],
    [{ field: "data.total", op: "notin", value: "1, 2.5" }, "numeric", "!(double(data.total) in [1.0, 2.5])"],
  ];
  for (const [row, kind, text] of cases) {
    assert.equal(write({ all: true, rows: [row] }, () => kind), text);
    const back = bare(read(text)?.rows)?.[0];
    assert.equal(back?.field, row.field, text);
    assert.equal(back?.op, row.op, text);
    assert.equal(write({ all: true, rows: back ? [back] : [] }, () => kind), text);
  }
  for (const text of ["data.items.exists(x, y.a == 1)", "data.items.exists(x, x.a != 1)", "data.items.exists(x, x.b.exists(y, y.c == 1))", "data.items.exists(x, x.a == 1 && x.b == 2)", "double(data.a).b == 1", 'double(data.a) == "1"', "!(data.items.exists(x, !has(x.a)))"]) assert.equal(read(text), undefined, text);
  assert.ok(!opsOf("data.items[].sku", "string").includes("has"));
  assert.deepEqual(opsOf("data.items", "objects"), ["has", "hasnot"]);
});

test("a number is not compared with a word", () => {
  assert.ok(notNumber({ field: "data.total", op: "gt", value: "much" }, "number"));
  assert.ok(notNumber({ field: "data.total", op: "in", value: "1, x" }, "numeric"));
  assert.ok(!notNumber({ field: "data.total", op: "gt", value: "1.5" }, "numeric"));
  assert.ok(!notNumber({ field: "data.total", op: "has", value: "" }, "number"));
  assert.ok(!notNumber({ field: "data.name", op: "is", value: "x" }, "string"));
});

test("texts cannot break out of their quotes", () => {
  for (const nasty of ['"', '\\', '" || true || "x', "a\nb", '\\"', "'"]) {
    const text = write({ all: true, rows: [{ field: "data.a", op: "contains", value: nasty }] }, () => "string");
    const back = read(text);
    assert.equal(back?.rows.length, 1, text);
    assert.equal(back?.rows[0]?.value.trim(), nasty.trim(), text);
  }
});

test("text that looks like a number keeps its quotes", () => {
  assert.equal(literal("007", "any"), '"007"');
  assert.equal(literal("7", "any"), "7");
  assert.equal(literal('"7"', "any"), '"7"');
  assert.equal(literal("7", "string"), '"7"');
  assert.equal(bare(read('data.a == "7"')?.rows)?.[0]?.value, '"7"');
});

test("rows that are not complete are left out", () => {
  assert.ok(!complete({ field: "data.a", op: "is", value: " " }));
  assert.ok(!complete({ field: "", op: "has", value: "" }));
  assert.ok(!complete({ field: "data.a", op: "in", value: " , " }));
  assert.equal(write({ all: true, rows: [{ field: "data.a", op: "is", value: "" }] }, any), "");
});

test("a field takes only operators that make sense", () => {
  assert.ok(!opsOf("type", "string").includes("gt"));
  assert.deepEqual(opsOf("channels", "list"), ["contains", "notcontains"]);
  assert.ok(!opsOf("data.vip", "boolean").includes("contains"));
  assert.equal(path(["a", "in", "zip-code"]), 'data.a["in"]["zip-code"]');
});
