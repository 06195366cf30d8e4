// A bin as its form holds it, and as the API takes it: pure.
import type { Bin, BinAnswer } from "$api";
import type { Pair } from "$components";

export interface Draft {
  alias: string;
  description: string;
  tenant: string;
  /** "" leaves the time as it is. */
  life: "" | "24h" | "168h" | "720h" | "8760h" | "0s";
  keep: number | undefined;
  refuse: boolean;
  cors: boolean;
  own: boolean;
  status: number | undefined;
  headers: Pair[];
  body: string;
  delay: string;
  hold: string;
}

export function draftOf(b?: Bin, tenant = ""): Draft {
  return {
    alias: b?.alias ?? "",
    description: b?.description ?? "",
    tenant: b?.tenant ?? tenant,
    life: b ? "" : "168h",
    keep: b?.keep ?? 500,
    refuse: b?.refuse ?? false,
    cors: b?.cors ?? false,
    own: b?.answer !== undefined,
    status: b?.answer?.status ?? 200,
    headers: Object.entries((b?.answer?.headers ?? {}) as Record<string, string>).map(([name, value]) => ({ name, value })),
    body: b?.answer?.body ?? "",
    delay: b?.delay ?? "",
    hold: b?.hold ?? "",
  };
}

/** An answer as the API takes it. old: the one that was there; its binary body stays while no text takes its place. */
export function answerOf(d: { status: number | undefined; headers: readonly Pair[]; body: string }, old?: BinAnswer): Record<string, unknown> {
  const headers = Object.fromEntries(d.headers.filter((h) => h.name.trim() !== "").map((h) => [h.name.trim(), h.value]));
  return {
    status: d.status ?? 200,
    headers,
    ...(d.body !== "" ? { body: d.body } : old?.body_base64 ? { body_base64: old.body_base64 } : {}),
  };
}

/** The body of POST, or of PUT when there is an old one. */
export function bodyOf(d: Draft, old?: Bin): Record<string, unknown> {
  const life = d.life !== "" ? { ttl: d.life } : old?.ttl ? { ttl: old.ttl } : old?.expires ? { expires: old.expires } : {};
  return {
    ...life,
    alias: d.alias.trim(),
    description: d.description.trim(),
    ...(old === undefined && d.tenant.trim() ? { tenant: d.tenant.trim() } : {}),
    keep: d.keep ?? 500,
    refuse: d.refuse,
    cors: d.cors,
    ...(d.own ? { answer: answerOf(d, old?.answer) } : {}),
    ...(d.delay && d.delay !== "0s" ? { delay: d.delay } : {}),
    ...(d.hold && d.hold !== "0s" ? { hold: d.hold } : {}),
    ...(old?.tunnel ? { tunnel: old.tunnel } : {}),
    metadata: old?.metadata ?? {},
  };
}
