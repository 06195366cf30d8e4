import assert from "node:assert/strict";
import { test } from "node:test";
import { browserOf } from "./browser";
import { nameFault, suggestName } from "./tenantName";

test("a tenant's name is judged by the server's rules", () => {
  for (const good of ["", "a", "acme", "0-day_x", "a".repeat(63)]) assert.equal(nameFault(good), undefined, good);
  assert.equal(nameFault("Acme"), "capital");
  assert.equal(nameFault("-acme"), "start");
  assert.equal(nameFault("acme ltd"), "letter");
  assert.equal(nameFault("čez"), "letter");
  assert.equal(nameFault("a".repeat(64)), "long");
});

test("the name that is offered is one that is allowed", () => {
  assert.equal(suggestName("Acme Ltd."), "acme-ltd");
  assert.equal(suggestName("Žluťoučký kůň"), "zlutoucky-kun");
  assert.equal(suggestName("--x--"), "x");
  assert.equal(suggestName("山田"), "");
  for (const text of ["Acme Ltd.", "_A b", "x".repeat(200)]) assert.equal(nameFault(suggestName(text)), undefined, text);
});

test("browsers are told apart, those that claim to be another too", () => {
  const windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)";
  assert.deepEqual(browserOf(`${windows} Chrome/131.0.0.0 Safari/537.36`), { browser: "Chrome 131", system: "Windows" });
  assert.deepEqual(browserOf(`${windows} Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0`), { browser: "Edge 131", system: "Windows" });
  assert.deepEqual(browserOf("Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"), { browser: "Firefox 133", system: "Linux" });
  assert.deepEqual(browserOf("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"), { browser: "Safari 18", system: "iPhone" });
  assert.deepEqual(browserOf("curl/8.9"), {});
  assert.deepEqual(browserOf(undefined), {});
});
