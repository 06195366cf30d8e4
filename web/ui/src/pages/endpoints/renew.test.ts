import assert from "node:assert/strict";
import { test } from "node:test";
import { renew, type Came } from "./renew";

const row = (id: string, state = "") => ({ id, state });
const ids = (rows: { id: string }[]) => rows.map((r) => r.id).join("");

test("states change in place, rows that left a filter go, new ones come in their place", () => {
  const page: Came = { cursor: undefined, ids: ["b", "d", "f"] };
  const rows = renew([row("b"), row("d"), row("f"), row("x")], page, [row("b", "new"), row("c"), row("f")], true);
  assert.equal(ids(rows), "bcfx");
  assert.equal(rows[0]?.state, "new");
  assert.deepEqual(page.ids, ["b", "c", "f"]);
});

test("a row pushed over the end of its page stays", () => {
  const page: Came = { cursor: undefined, ids: ["b", "d"] };
  const rows = renew([row("b"), row("d"), row("x")], page, [row("a"), row("b")], true);
  assert.equal(ids(rows), "abdx");
  assert.deepEqual(page.ids, ["a", "b", "d"]);
});

test("the last page may end earlier, or be empty", () => {
  const page: Came = { cursor: "k", ids: ["k", "m"] };
  assert.equal(ids(renew([row("b"), row("k"), row("m")], page, [row("k")], false)), "bk");
  assert.equal(ids(renew([row("b"), row("k")], page, [], false)), "b");
  assert.deepEqual(page.ids, []);
});

test("a later page does not double what an earlier one has taken over", () => {
  const page: Came = { cursor: "c", ids: ["d", "e"] };
  assert.equal(ids(renew([row("a"), row("d"), row("e")], page, [row("d"), row("e"), row("f")], false)), "adef");
});
