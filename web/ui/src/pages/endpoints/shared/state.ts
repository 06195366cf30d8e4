// An endpoint's state in words: why it waits, since when, what comes next.
import type { Endpoint } from "$api";
import { clock, fmt } from "$lib/fmt.svelte";
import { t } from "$lib/i18n.svelte";

/** The word of the API for the badge: live, backlog, penalty, paused … */
export function wordOf(e: Endpoint): string {
  if (e.disabled) return e.disabled_reason || "paused";
  const s = e.state;
  if (!s) return "idle";
  return s.lane === "waiting" ? s.waiting || "waiting" : s.lane;
}

/** A few words for a list: "next try in 42 s". */
export function shortReason(e: Endpoint): string {
  const s = e.state;
  if (e.disabled || !s) return "";
  if (s.lane === "waiting" && s.waiting === "penalty" && s.penalty_until) return nextTry(s.penalty_until);
  if (s.lane === "waiting" && s.waiting === "retries") return t("endpoints.state.retriesDue", { n: s.retries });
  if (s.lane === "backlog") return ""; // beside it stands how much
  if (s.failures > 0) return t("endpoints.state.failures", { n: s.failures });
  return s.retries > 0 ? t("endpoints.state.retriesDue", { n: s.retries }) : "";
}

function nextTry(until: string): string {
  const ms = new Date(until).getTime() - clock.now;
  return ms < 1000 ? t("endpoints.state.nextNow") : t("endpoints.state.next", { in: fmt.duration(Math.ceil(ms / 1000) * 1000) });
}

export interface Explained {
  tone: "ok" | "info" | "warn" | "bad";
  text: string;
  /** What happens next, if there is more to say. */
  next?: string;
}

/** Sentences for the endpoint's own page: what is the matter, and what happens next. */
export function explain(e: Endpoint): Explained {
  const s = e.state;
  const backlog = s && s.backlog > 0 ? ` ${t("endpoints.explain.waits", { n: s.backlog })}` : "";
  if (e.disabled) {
    const reason = e.disabled_reason;
    if (reason === "gone") return { tone: "bad", text: t("endpoints.explain.gone") + backlog };
    if (reason === "failing") return { tone: "bad", text: t("endpoints.explain.failing") + backlog };
    if (reason === "changelog") return { tone: "warn", text: t("endpoints.explain.changelog") + backlog };
    return { tone: "info", text: t("endpoints.explain.paused") + backlog };
  }
  if (!s) return { tone: "ok", text: "" };
  if (s.lane === "waiting") return waiting(e, backlog);
  if (s.lane === "backlog") {
    const oldest = s.oldest_at ? ` ${t("endpoints.explain.oldest", { ago: fmt.relative(s.oldest_at, clock.now) })}` : "";
    return { tone: "warn", text: t("endpoints.explain.backlog", { n: s.backlog }) + oldest };
  }
  const retries = s.retries > 0 ? ` ${t("endpoints.explain.someRetries", { n: s.retries })}` : "";
  return { tone: s.retries > 0 ? "info" : "ok", text: t("endpoints.explain.live") + retries };
}

function waiting(e: Endpoint, backlog: string): Explained {
  const s = e.state;
  if (s?.waiting === "offline") return { tone: "info", text: t("endpoints.explain.offline") + backlog };
  if (s?.waiting === "retries") return { tone: "warn", text: t("endpoints.explain.retries", { n: s.retries }) + backlog };
  if (s?.waiting !== "penalty") return { tone: "warn", text: t("endpoints.explain.waiting") + backlog };
  const since = s.failing_since ? ` ${t("endpoints.explain.since", { ago: fmt.relative(s.failing_since, clock.now) })}` : "";
  const text = t("endpoints.explain.penalty", { n: s.failures }) + since + backlog;
  return s.penalty_until ? { tone: "warn", text, next: t("endpoints.explain.penaltyNext", { next: nextTry(s.penalty_until), wait: fmt.duration(s.penalty ?? 0) }) } : { tone: "warn", text };
}

/** What an endpoint takes, in a few words. */
export function takesText(e: Pick<Endpoint, "types" | "filter" | "channels" | "changed">): string {
  const types = e.types ?? [];
  const first = types.length === 0 ? t("endpoints.everyEvent") : types.slice(0, 3).join(", ") + (types.length > 3 ? ` +${types.length - 3}` : "");
  return e.filter || (e.channels ?? []).length > 0 || (e.changed ?? []).length > 0 ? `${first} · ${t("endpoints.filtered")}` : first;
}

/** An address without its scheme, for lists. */
export function shortUrl(url: string): string {
  return url.replace(/^https?:\/\//, "");
}

/** What an endpoint is called: its name, else the beginning of its address. */
export function nameOf(e: Endpoint): string {
  const url = shortUrl(e.url);
  return e.description || (url.length > 64 ? `${url.slice(0, 60)}…` : url);
}

/** What must be typed to delete an endpoint: its host, or its name when it has none. */
export function confirmName(e: Endpoint): string {
  try {
    return new URL(e.url).host || e.id;
  } catch {
    return e.id;
  }
}
