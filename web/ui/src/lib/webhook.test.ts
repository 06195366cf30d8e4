import assert from "node:assert/strict";
import { test } from "node:test";
import { eventName } from "./webhook";

const of = (...names: string[]) => eventName(names.map((name) => ({ name, value: `of ${name}` })));

test("the header that names the event is found, in any case", () => {
  for (const name of ["X-GitHub-Event", "x-gitlab-event", "X-Event-Key", "X-Shopify-Topic", "ce-type", "X-Event", "x-adobe-event-type"]) assert.equal(of("Host", name), `of ${name}`);
});

test("others do not", () => {
  assert.equal(of("X-Event-Id", "X-GitHub-Delivery", "Content-Type", "X-Events", "Event"), "");
  assert.equal(eventName(undefined), "");
  assert.equal(eventName([{ name: "X-Event", value: "x".repeat(81) }]), "");
});
