import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoint } from "$api";
import { bodyOf, differing, draftOf, keepsSecret, merge, paramsOf, tidyUrl, urlFault, withParams } from "./draft";

const any = () => "any" as const;
const saved = {
  id: "ep_1",
  url: "https://example.com/hook?a=1",
  kind: "webhook",
  description: "d",
  types: ["order.*"],
  filter: "data.total * 2 > 1",
  channels: ["c"],
  changed: ["price"],
  order: "key",
  payload: "thin",
  envelope: "cloudevents",
  format: "json",
  batch: { max: 20, wait: "500ms", coalesce: true },
  headers: { "X-A": "1" },
  auth: { type: "basic", username: "u" },
  signing: "standard-v1a",
  timeout: "10s",
  retries: ["1s", "1s"],
  forever: true,
  profile: "default",
  rate_limit: 2.5,
  concurrency: 3,
  disabled: true,
  metadata: { team: "x" },
  created: "2026-01-01T00:00:00Z",
  updated: "2026-01-01T00:00:00Z",
} satisfies Endpoint;

test("an endpoint that is opened and saved is what it was", () => {
  const { id: _, created: _c, updated: _u, ...same } = saved;
  assert.deepEqual(bodyOf(draftOf(saved), any, saved), same);
});

test("a new endpoint of a URL only says no more than it must", () => {
  const body = bodyOf({ ...draftOf(), url: " https://example.com/ " }, any);
  assert.equal(body.url, "https://example.com/");
  for (const name of ["types", "filter", "batch", "auth", "retries", "disabled", "metadata", "timeout"]) assert.ok(!(name in body), name);
});

test("a stored password is kept while what it belongs to stays", () => {
  const d = draftOf(saved);
  assert.ok(keepsSecret(d, saved));
  assert.ok(keepsSecret({ ...d, url: "https://example.com/other" }, saved));
  assert.ok(!keepsSecret({ ...d, url: "https://elsewhere.example/hook" }, saved));
  assert.ok(!keepsSecret({ ...d, username: "v" }, saved));
  assert.ok(!keepsSecret({ ...d, auth: "bearer" }, saved));
  assert.ok(!("password" in (bodyOf(d, any, saved).auth ?? {})));
});

test("parameters are read from an address and written into it", () => {
  assert.deepEqual(paramsOf("https://x/?a=1&b=%C5%BE+y&c"), [{ name: "a", value: "1" }, { name: "b", value: "ž y" }, { name: "c", value: "" }]);
  assert.deepEqual(paramsOf("https://x/#?a=1"), []);
  assert.equal(withParams("https://x/p?old=1#h", [{ name: "a&b", value: "c=d" }, { name: "", value: "left out" }]), "https://x/p?a%26b=c%3Dd#h");
  assert.equal(withParams("https://x/p?old=1", []), "https://x/p");
});

test("an address is told what is wrong with it", () => {
  const cases: Record<string, string> = { "": "empty", "example.com": "scheme", "ftp://x": "scheme", "https://": "bad", "https://a b": "space", "https://u:p@x/": "user", "https://x/#f": "hash", "https://x/": "", "http://[::1]:80/": "" };
  for (const [url, fault] of Object.entries(cases)) assert.equal(urlFault(url), fault, url);
});

test("what was typed goes on top of what somebody else changed", () => {
  const start = draftOf({ url: "https://a.example/x", description: "Old", types: ["a.*"] });
  const typed = { ...start, description: "Mine", url: "https://b.example/x?y=1", params: [{ name: "y", value: "1" }] };
  const now = draftOf({ url: "https://a.example/z", description: "Theirs", types: ["a.*", "b.*"], timeout: "5s" });
  const merged = merge(now, { draft: typed, start });
  assert.equal(merged.description, "Mine");
  assert.equal(merged.url, "https://b.example/x?y=1");
  assert.deepEqual(merged.types, ["a.*", "b.*"]);
  assert.equal(merged.timeout, "5s");
  assert.deepEqual(differing(start, now).sort(), ["description", "timeout", "types", "url"]);
});

test("an address as people paste it", () => {
  assert.equal(tidyUrl(" hook.eu1.make.com/abc?x=1 "), "https://hook.eu1.make.com/abc?x=1");
  assert.equal(tidyUrl("localhost:9000/x"), "http://localhost:9000/x");
  assert.equal(tidyUrl("example.com:8443"), "https://example.com:8443");
  for (const same of ["https://a.example", "ftp://a.example", "word", "two words.example", "mailto:a@b.example", "/path.example", "a@b.example"]) assert.equal(tidyUrl(same), same);
});
