import assert from "node:assert/strict";
import { test } from "node:test";
import { closest, runs, timeTicks, valueTicks } from "./axis";

test("values have round marks", () => {
  assert.deepEqual(valueTicks(0, 1, 5), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.deepEqual(valueTicks(0, 37, 4), [0, 10, 20, 30]);
  assert.deepEqual(valueTicks(0, 0.00031, 3), [0, 0.0002]);
  assert.deepEqual(valueTicks(0, 1, 1), [0, 1]);
  assert.deepEqual(valueTicks(0, 0, 4), [0]);
  assert.equal(valueTicks(0, 123_456_789, 6).length, 5);
});

const prague = (ms: number): number => (ms < Date.UTC(2026, 2, 29, 1) ? -3_600_000 : -7_200_000);
const clock = (ms: number): string => new Date(ms - prague(ms)).toISOString().slice(5, 19);

test("times have marks at whole minutes, hours and days of the wall's clock", () => {
  assert.deepEqual(timeTicks(10_000, 310_000, 6, () => 0), [60_000, 120_000, 180_000, 240_000, 300_000]);
  const from = Date.UTC(2026, 2, 27, 10, 20);
  assert.deepEqual(timeTicks(from, from + 12 * 3_600_000, 4, prague).map(clock), ["03-27T12:00:00", "03-27T15:00:00", "03-27T18:00:00", "03-27T21:00:00"]);
  assert.deepEqual(timeTicks(from, from + 4 * 86_400_000, 5, prague).map(clock), ["03-28T00:00:00", "03-29T00:00:00", "03-30T00:00:00", "03-31T00:00:00"]);
  assert.deepEqual(timeTicks(5, 5, 4), [5]);
});

test("a line is made of its pieces between gaps", () => {
  assert.deepEqual(runs([1, 2, null, 3, undefined, undefined, 0]), [[{ i: 0, v: 1 }, { i: 1, v: 2 }], [{ i: 3, v: 3 }], [{ i: 6, v: 0 }]]);
  assert.deepEqual(runs([null]), []);
});

test("the nearest of many", () => {
  const numbers = [10, 20, 30, 40];
  assert.deepEqual([-5, 10, 14, 16, 33, 99].map((n) => closest(numbers, n)), [0, 0, 0, 1, 2, 3]);
  assert.equal(closest([7], 100), 0);
});
