import assert from "node:assert/strict";
import { test } from "node:test";
import { reveal, shift, step, visible } from "./virtual";

test("only what is in view is drawn", () => {
  assert.deepEqual(visible(10_000, 40, 4000, 400, 5), { from: 95, to: 115, height: 400_000 });
  assert.deepEqual(visible(3, 40, 0, 400), { from: 0, to: 3, height: 120 });
  assert.deepEqual(visible(0, 40, 500, 400), { from: 0, to: 0, height: 0 });
  assert.equal(visible(10, 40, 9999, 400).to, 10);
});

test("rows put on top move the anchor by their number", () => {
  assert.equal(shift(["a", "b", "c"], ["x", "y", "a", "b", "c"], 1), 2);
  assert.equal(shift(["a", "b"], ["a", "b", "c"], 1), 0);
  assert.equal(shift(["a", "b"], ["c"], 1), 0, "an anchor that is gone moves nothing");
});

test("a row is brought into view with as little movement as possible", () => {
  assert.equal(reveal(0, 40, 200, 400), 0);
  assert.equal(reveal(6, 40, 200, 400), 200);
  assert.equal(reveal(20, 40, 200, 400), 440);
  assert.equal(reveal(20, 40, 200, 400, 34), 474);
});

test("keys go where they should", () => {
  assert.equal(step("ArrowDown", -1, 5, 3), 0);
  assert.equal(step("ArrowDown", 4, 5, 3), 4);
  assert.equal(step("PageDown", 1, 5, 3), 4);
  assert.equal(step("PageUp", 4, 5, 3), 1);
  assert.equal(step("End", 0, 5, 3), 4);
  assert.equal(step("x", 0, 5, 3), undefined);
  assert.equal(step("End", 0, 0, 3), undefined);
});
