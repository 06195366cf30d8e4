import assert from "node:assert/strict";
import { test } from "node:test";
import { format, type PluralForm } from "./message";

const plural = (locale: string) => (n: number) => new Intl.PluralRules(locale).select(n) as PluralForm;
const number = (n: number) => String(n);

test("Czech has one, few, many and other", () => {
  const forms = { one: "{n} událost", few: "{n} události", many: "{n} události (zlomek)", other: "{n} událostí" };
  const say = (n: number) => format(forms, { n }, plural("cs"), number);
  assert.deepEqual([1, 2, 4, 5, 0, 21, 1.5].map(say), ["1 událost", "2 události", "4 události", "5 událostí", "0 událostí", "21 událostí", "1.5 události (zlomek)"]);
});

test("English has one and other; a missing form falls back", () => {
  const say = (n: number) => format({ one: "{n} event", other: "{n} events" }, { n }, plural("en"), number);
  assert.deepEqual([0, 1, 2].map(say), ["0 events", "1 event", "2 events"]);
  assert.equal(format({ other: "{n} x" }, { n: 1 }, plural("en"), number), "1 x");
});

test("values are put in as they are, and only own ones", () => {
  assert.equal(format("{a} of {b}", { a: "{b}", b: "<b>" }, plural("en"), number), "{b} of <b>");
  assert.equal(format("{constructor}", {}, plural("en"), number), "{constructor}");
});
