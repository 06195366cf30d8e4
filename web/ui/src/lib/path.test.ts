import assert from "node:assert/strict";
import { test } from "node:test";
import { build, compile, readQuery, safeReturn, writeQuery } from "./path";

const routes = [{ path: "/" }, { path: "/t/:tenant/endpoints/:id" }, { path: "/t/:tenant/endpoints/new" }, { path: "/t/:tenant/events" }];

test("a literal part wins over a parameter, whatever the order", () => {
  const find = compile(routes);
  assert.equal(find("/t/acme/endpoints/new")?.route.path, "/t/:tenant/endpoints/new");
  assert.deepEqual(find("/t/acme/endpoints/ep_1")?.params, { tenant: "acme", id: "ep_1" });
  assert.equal(find("/")?.route.path, "/");
  assert.equal(find("/t/acme/nothing"), undefined);
  assert.equal(find("/t/acme"), undefined);
});

test("parameters are encoded and come back whole", () => {
  const find = compile(routes);
  for (const id of ["a/b", "ž š", "100%", "?x=1&y#z", ".."]) {
    assert.equal(find(build("/t/:tenant/endpoints/:id", { tenant: "acme", id }))?.params.id, id);
  }
  assert.equal(find("/t/acme/endpoints/%E0%A4%A"), undefined, "a bad escape is no page");
});

test("a return path stays within the app", () => {
  assert.equal(safeReturn("/ui/t/acme/events?q=1"), "/ui/t/acme/events?q=1");
  for (const bad of ["//evil.example", "https://evil.example/ui/", "/ui\\..\\evil", "/ui/../v1/session", "/v1/me", "javascript:alert(1)", "", null, "/ui/\n//x"]) {
    assert.equal(safeReturn(bad), "/ui/", String(bad));
  }
});

test("the query keeps types and forgets defaults", () => {
  const search = new URLSearchParams();
  writeQuery(search, "q", "a b", "");
  writeQuery(search, "n", 5, 1);
  writeQuery(search, "on", true, false);
  writeQuery(search, "tags", ["a,b", "c%"], []);
  const back = new URLSearchParams(search.toString());
  assert.equal(readQuery(back, "q", ""), "a b");
  assert.equal(readQuery(back, "n", 1), 5);
  assert.equal(readQuery(back, "on", false), true);
  assert.deepEqual(readQuery(back, "tags", [] as string[]), ["a,b", "c%"]);
  writeQuery(search, "n", 1, 1);
  assert.equal(search.has("n"), false);
  assert.equal(readQuery(new URLSearchParams("n=x"), "n", 7), 7);
});
