import assert from "node:assert/strict";
import { test } from "node:test";
import { known, rate, recent, withTick, type Step, type Tick } from "./live";

const none = (at: number): Step => ({ at, events: null, delivered: null, failed: null, p50: null, p99: null });
const step = (at: number, events: number): Step => ({ ...none(at), events, delivered: 0, failed: 0 });
const tick = (second: number, events: number, p99?: number): Tick => {
  const out: Tick = { at: new Date(second * 1000).toISOString(), events, attempts: 0, delivered: events, retry: 1, failed: 0, gone: 1, lanes: {} as Tick["lanes"], in_flight: 0, retries: 0, streams: 0 };
  if (p99 !== undefined) out.p99 = p99;
  return out;
};

test("a tick is added to the step that its second is in, and begins the next one after it", () => {
  let steps: Step[] = [none(0), step(5000, 3)];
  steps = withTick(steps, 5000, tick(10, 2, 7)); // the second that ended at 10 s
  assert.deepEqual(steps.at(-1), { at: 5000, events: 5, delivered: 2, failed: 2, p50: null, p99: 7 });
  steps = withTick(steps, 5000, tick(11, 4));
  assert.deepEqual(steps.map((s) => [s.at, s.events]), [[5000, 5], [10_000, 4]]);
});

test("missed steps are gaps, and the series stays as long as it was", () => {
  const steps = withTick([step(0, 1), step(5000, 1), step(10_000, 1)], 5000, tick(28, 9));
  assert.deepEqual(steps.map((s) => [s.at, s.events]), [[15_000, null], [20_000, null], [25_000, 9]]);
});

test("the rate is the server's until ten seconds were seen", () => {
  let ticks: Tick[] = [];
  for (let i = 1; i <= 9; i++) ticks = recent(ticks, tick(i, 10));
  assert.equal(rate(ticks, "events", 3), 3);
  for (let i = 10; i <= 25; i++) ticks = recent(ticks, tick(i, 20));
  assert.equal(ticks.length, 10);
  assert.equal(rate(ticks, "events", 3), 20);
});

test("what is not known yet is not shown, but for a minute", () => {
  const steps = Array.from({ length: 180 }, (_, i) => (i < 150 ? none(i) : step(i, 1)));
  assert.equal(known(steps).length, 30);
  assert.equal(known(steps.map((s, i) => (i < 178 ? none(i) : s))).length, 12);
  assert.equal(known(steps.map((s) => step(s.at, 0))).length, 180);
});
