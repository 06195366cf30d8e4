// The answer to "did it arrive, and if not, why?", in words.
import type { Attempt, Delivery } from "$api";
import type { Tone } from "$components";
import { fmt } from "$lib/fmt.svelte";
import { maybe, t } from "$lib/i18n.svelte";
import { arrivedAt } from "./arrivedAt";
import type { Life } from "./life.svelte";

export interface Verdict {
  tone: Exclude<Tone, "plain">;
  /** The word for the badge. */
  word: string;
  text: string;
  /** What to do about it. */
  next?: string;
}

/** "in 4 min", or "now" when the time has come. */
export function until(at: string | undefined, now: number): string {
  if (!at) return "";
  const ms = new Date(at).getTime() - now;
  return ms < 1000 ? t("events.now") : fmt.duration(Math.ceil(ms / 1000) * 1000);
}

/** One sentence over all endpoints. */
export function verdictOf(life: Life, now: number): Verdict {
  const all = life.deliveries;
  const of = (...states: Delivery["state"][]): Delivery[] => all.filter((d) => states.includes(d.state));
  const delivered = of("delivered");
  const lost = of("failed", "gone");
  const retrying = of("retrying");
  const waiting = of("waiting");
  const pending = of("pending");
  const unknown = of("none");
  if (all.length === 0) return { tone: "idle", word: t("events.word.nobody"), text: t("events.verdict.nobody"), next: t("events.verdict.nobody.next") };
  if (delivered.length === all.length) return { tone: "ok", word: t("common.state.delivered"), text: deliveredToAll(delivered, life.received) };
  const parts: string[] = [];
  if (delivered.length > 0) parts.push(t("events.verdict.some", { n: all.length, done: fmt.number(delivered.length) }));
  else if (lost.length + retrying.length + waiting.length > 0) parts.push(t("events.verdict.none", { n: all.length }));
  const soonest = (list: Delivery[]): string | undefined => list.map((d) => d.next_at).filter((at) => at !== undefined).sort()[0];
  if (lost.length > 0) parts.push(t("events.clause.lost", { n: lost.length }));
  if (pending.length > 0) parts.push(t("events.clause.pending", { n: pending.length }));
  if (retrying.length > 0) parts.push(t("events.clause.retrying", { n: retrying.length, next: until(soonest(retrying), now) || t("events.soon") }));
  for (const [reason, list] of byReason(waiting)) {
    const next = soonest(list);
    parts.push(t("events.clause.waiting", { n: list.length, why: maybe(`events.waits.${reason}`, reason) + (next ? t("events.clause.next", { next: until(next, now) }) : "") }));
  }
  if (unknown.length > 0) parts.push(t("events.clause.unknown", { n: unknown.length }));
  const text = `${parts.join("; ")}.`;
  if (lost.length > 0) return { tone: "bad", word: t("events.word.lost"), text, next: t("events.verdict.lost.next") };
  if (retrying.length > 0) return { tone: "warn", word: t("common.state.retrying"), text };
  if (waiting.length > 0) return { tone: "warn", word: t("common.state.waiting"), text };
  if (pending.length > 0) return { tone: "info", word: t("common.state.pending"), text };
  return { tone: "idle", word: t("common.state.unknown"), text };
}

function deliveredToAll(list: Delivery[], received: string): string {
  const last = Math.max(...list.map((d) => (d.delivered_at ? new Date(d.delivered_at).getTime() : 0)));
  const after = fmt.duration(Math.max(0, last - new Date(received).getTime()));
  return last > 0 ? t("events.verdict.all", { n: list.length, after }) : t("events.verdict.allUnknown", { n: list.length });
}

function byReason(list: Delivery[]): Map<string, Delivery[]> {
  const out = new Map<string, Delivery[]>();
  for (const d of list) out.set(d.waiting ?? "", [...(out.get(d.waiting ?? "") ?? []), d]);
  return out;
}

/** One endpoint's line: what happened, why, and what comes next. */
export function reasonOf(d: Delivery, attempts: readonly Attempt[], received: string, now: number): string {
  const last = attempts.at(-1);
  const answer = answerOf(last?.status ?? d.last_status, last?.error ?? d.last_error);
  if (d.in_flight) return t("events.reason.inFlight");
  switch (d.state) {
    case "delivered": {
      const ms = d.delivered_at ? Math.max(0, new Date(d.delivered_at).getTime() - new Date(received).getTime()) : undefined;
      const after = ms === undefined ? "" : fmt.duration(ms);
      const first = arrivedAt(attempts);
      const tries = first.number ?? Math.max(1, d.attempts);
      const text = after ? t("events.reason.delivered", { n: tries, after }) : t("events.reason.deliveredOnly", { n: tries });
      return first.since > 0 ? `${text} ${t("events.reason.since", { n: first.since })}` : text;
    }
    case "pending":
      // What has not been sent by now is behind others of its lane.
      return now - new Date(received).getTime() > 5000 && d.attempts === 0 ? t("events.reason.inLine") : t("events.reason.pending");
    case "retrying":
      return `${t("events.reason.retrying", { n: Math.max(1, d.attempts), answer })} ${d.next_at ? t("events.reason.next", { next: until(d.next_at, now) }) : ""}`.trim();
    case "waiting": {
      const first = d.attempts > 0 ? `${t("events.reason.retrying", { n: d.attempts, answer })} ` : "";
      const why = maybe(`events.lane.${d.waiting ?? ""}`, t("events.lane.other"));
      return `${first}${why}${d.next_at ? ` ${t("events.reason.next", { next: until(d.next_at, now) })}` : ""}`;
    }
    case "failed":
      return t("events.reason.failed", { n: Math.max(1, d.attempts), answer });
    case "gone":
      return t("events.reason.gone");
    default:
      return d.matched ? t("events.reason.none") : t("events.reason.notMatched");
  }
}

/** "500", or the error in place of an answer. */
export function answerOf(status: number | undefined, error: string | undefined): string {
  if (status) return String(status);
  return error || t("common.noAnswer");
}

/** What a try's verdict means. */
export function meaning(a: Attempt): string {
  return t(`events.meaning.${a.verdict}`);
}
