// How a watched overview goes on: each second's tick is added to what came first. Pure.
import type { Overview } from "$api";

/** A second's figures, as the stream sends them. */
export interface Tick {
  at: string;
  events: number;
  attempts: number;
  delivered: number;
  retry: number;
  failed: number;
  gone: number;
  p50?: number;
  p99?: number;
  lanes: Overview["lanes"];
  in_flight: number;
  retries: number;
  streams: number;
  oldest_backlog_at?: string;
}

/** A step of the charts: the seconds that fell into it. Percentiles are those of its worst second. */
export interface Step {
  at: number;
  events: number | null;
  delivered: number | null;
  failed: number | null;
  p50: number | null;
  p99: number | null;
}

const RECENT = 10;

/** The steps of an overview's series. */
export function stepsOf(o: Overview): Step[] {
  const s = o.series;
  const start = Date.parse(s.start);
  const plus = (a: number | null | undefined, b: number | null | undefined): number | null => (a === null || a === undefined ? null : a + (b ?? 0));
  return (s.events ?? []).map((events, i) => ({
    at: start + i * s.step_ms,
    events: events ?? null,
    delivered: s.delivered?.[i] ?? null,
    failed: plus(s.failed?.[i], s.retry?.[i]),
    p50: s.p50?.[i] ?? null,
    p99: s.p99?.[i] ?? null,
  }));
}

const worse = (a: number | null, b: number | undefined): number | null => (b === undefined ? a : Math.max(a ?? 0, b));

/** The steps with a second more, as many as there were. */
export function withTick(steps: readonly Step[], stepMs: number, tick: Tick): Step[] {
  const at = Math.floor((Date.parse(tick.at) - 1) / stepMs) * stepMs;
  const last = steps.at(-1);
  const failed = tick.failed + tick.retry + tick.gone;
  if (last && at <= last.at) {
    const grown: Step = {
      at: last.at,
      events: (last.events ?? 0) + tick.events,
      delivered: (last.delivered ?? 0) + tick.delivered,
      failed: (last.failed ?? 0) + failed,
      p50: worse(last.p50, tick.p50),
      p99: worse(last.p99, tick.p99),
    };
    return [...steps.slice(0, -1), grown];
  }
  const next: Step = { at, events: tick.events, delivered: tick.delivered, failed, p50: tick.p50 ?? null, p99: tick.p99 ?? null };
  const gap: Step[] = [];
  for (let missing = (last?.at ?? at) + stepMs; missing < at && gap.length < steps.length; missing += stepMs) {
    gap.push({ at: missing, events: null, delivered: null, failed: null, p50: null, p99: null });
  }
  return [...steps, ...gap, next].slice(-Math.max(steps.length, 1));
}

/** The fewest steps that are shown, also when nothing is known of the first ones. */
const FEWEST = 12;

/** The steps from the first of which something is known: a server that has just begun shows its minutes, not an empty quarter of an hour. */
export function known(steps: readonly Step[]): readonly Step[] {
  const first = steps.findIndex((step) => step.events !== null);
  return first < 1 ? steps : steps.slice(Math.max(0, Math.min(first, steps.length - FEWEST)));
}

/** The newest ticks, for the rates of now. */
export function recent(ticks: readonly Tick[], tick: Tick): Tick[] {
  return [...ticks, tick].slice(-RECENT);
}

/** Events or deliveries a second over the newest ticks, or what the server said when there are too few of them. */
export function rate(ticks: readonly Tick[], of: "events" | "delivered", said: number): number {
  return ticks.length < RECENT ? said : ticks.reduce((n, tick) => n + tick[of], 0) / ticks.length;
}
