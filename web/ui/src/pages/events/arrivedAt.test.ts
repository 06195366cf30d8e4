import assert from "node:assert/strict";
import { test } from "node:test";
import type { Attempt } from "$api";
import { arrivedAt } from "./arrivedAt";

test("an event arrived at the try that delivered first; what was sent again since is counted", () => {
  const attempt = (number: number, verdict: Attempt["verdict"]) => ({ number, verdict });
  assert.deepEqual(arrivedAt([]), { since: 0 });
  assert.deepEqual(arrivedAt([attempt(1, "retry")]), { since: 0 });
  assert.deepEqual(arrivedAt([attempt(1, "retry"), attempt(2, "delivered")]), { number: 2, since: 0 });
  assert.deepEqual(arrivedAt([attempt(1, "retry"), attempt(2, "delivered"), attempt(1, "delivered"), attempt(1, "retry")]), { number: 2, since: 2 });
});
