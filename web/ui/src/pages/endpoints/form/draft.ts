// The form's model of an endpoint, and the way to the API's and back. Pure.
import type { Endpoint } from "$api";
import { read, write, type Condition, type Kind } from "./cel";

export interface Pair {
  name: string;
  value: string;
}

export interface Draft {
  kind: NonNullable<Endpoint["kind"]>;
  url: string;
  /** The query of the URL as rows; writing them changes the URL. */
  params: Pair[];
  description: string;
  /** Every type. */
  every: boolean;
  types: string[];
  /** rows: built by clicking; text: written. */
  filterBy: "rows" | "text";
  filterAll: boolean;
  rows: Condition[];
  filter: string;
  channels: string[];
  changed: string[];
  order: NonNullable<Endpoint["order"]>;
  payload: NonNullable<Endpoint["payload"]>;
  envelope: NonNullable<Endpoint["envelope"]>;
  format: NonNullable<Endpoint["format"]>;
  batching: boolean;
  batchMax: number | undefined;
  batchWait: string;
  coalesce: boolean;
  headers: Pair[];
  auth: "" | "basic" | "bearer";
  username: string;
  password: string;
  token: string;
  signing: NonNullable<Endpoint["signing"]>;
  timeout: string;
  retries: string[];
  forever: boolean;
  profile: NonNullable<Endpoint["profile"]>;
  rate: number | undefined;
  concurrency: number | undefined;
}

/** The form of a saved endpoint, or with nothing given of a new one. */
export function draftOf(e?: Partial<Endpoint>): Draft {
  const filter = e?.filter ?? "";
  const built = read(filter);
  return {
    kind: e?.kind ?? "webhook",
    url: e?.url ?? "",
    params: paramsOf(e?.url ?? ""),
    description: e?.description ?? "",
    every: (e?.types ?? []).length === 0,
    types: [...(e?.types ?? [])],
    filterBy: built ? "rows" : "text",
    filterAll: built?.all ?? true,
    rows: built?.rows ?? [],
    filter,
    channels: [...(e?.channels ?? [])],
    changed: [...(e?.changed ?? [])],
    order: e?.order ?? "none",
    payload: e?.payload ?? "full",
    envelope: e?.envelope ?? "standard",
    format: e?.format ?? "json",
    batching: (e?.batch?.max ?? 1) > 1,
    batchMax: (e?.batch?.max ?? 1) > 1 ? e?.batch?.max : 50,
    batchWait: e?.batch?.wait ?? ((e?.batch?.max ?? 1) > 1 ? "" : "1s"),
    coalesce: e?.batch?.coalesce ?? false,
    headers: Object.entries(e?.headers ?? {}).map(([name, value]) => ({ name, value })),
    auth: e?.auth?.type ?? "",
    username: e?.auth?.username ?? "",
    password: "",
    token: "",
    signing: e?.signing ?? "standard",
    timeout: e?.timeout ?? "",
    retries: [...(e?.retries ?? [])],
    forever: e?.forever ?? false,
    profile: e?.profile ?? "default",
    rate: e?.rate_limit || undefined,
    concurrency: e?.concurrency || undefined,
  };
}

/** The filter that a form means; kind tells what a field's values are. */
export function filterOf(d: Draft, kind: (field: string) => Kind): string {
  return d.filterBy === "text" ? d.filter.trim() : write({ all: d.filterAll, rows: d.rows }, kind);
}

type Body = Omit<Endpoint, "id" | "created" | "updated" | "state" | "disabled_reason">;

/** What is sent to save a form; what the form does not show (metadata, whether it is paused) stays as it was read. */
export function bodyOf(d: Draft, kind: (field: string) => Kind, was?: Endpoint): Endpoint {
  const filter = filterOf(d, kind);
  const body: Body = {
    url: d.url.trim(),
    kind: d.kind,
    order: d.order,
    payload: d.payload,
    envelope: d.envelope,
    format: d.format,
    signing: d.signing,
    profile: d.profile,
    headers: Object.fromEntries(d.headers.filter((h) => h.name.trim() !== "").map((h) => [h.name.trim(), h.value.trim()])),
    ...(d.description.trim() ? { description: d.description.trim() } : {}),
    ...(d.every ? {} : { types: d.types }),
    ...(filter ? { filter } : {}),
    ...(d.channels.length > 0 ? { channels: d.channels } : {}),
    ...(d.changed.length > 0 ? { changed: d.changed } : {}),
    ...(d.timeout ? { timeout: d.timeout } : {}),
    ...(d.retries.length > 0 ? { retries: d.retries } : {}),
    ...(d.forever ? { forever: true } : {}),
    ...(d.rate ? { rate_limit: d.rate } : {}),
    ...(d.concurrency ? { concurrency: d.concurrency } : {}),
    ...(was?.disabled ? { disabled: true } : {}),
    ...(was?.metadata ? { metadata: was.metadata } : {}),
  };
  if (d.batching) body.batch = { ...(d.batchMax ? { max: d.batchMax } : {}), ...(d.batchWait ? { wait: d.batchWait } : {}), ...(d.coalesce ? { coalesce: true } : {}) };
  if (d.auth === "basic") body.auth = { type: "basic", ...(d.username ? { username: d.username } : {}), ...(d.password ? { password: d.password } : {}) };
  if (d.auth === "bearer") body.auth = { type: "bearer", ...(d.token ? { token: d.token } : {}) };
  return body as Endpoint;
}

/** Whether the stored password or token will be kept: nothing new is typed, and what it belongs to is the same. */
export function keepsSecret(d: Draft, was: Endpoint | undefined): boolean {
  if (!was?.auth || d.auth !== was.auth.type) return false;
  if (d.auth === "basic" && d.username !== (was.auth.username ?? "")) return false;
  return origin(d.url) === origin(was.url);
}

function origin(url: string): string | undefined {
  try {
    return new URL(url).origin;
  } catch {
    return undefined;
  }
}

const split = (url: string): [base: string, query: string | undefined, hash: string] => {
  const [front = "", ...after] = url.split("#");
  const at = front.indexOf("?");
  return [at < 0 ? front : front.slice(0, at), at < 0 ? undefined : front.slice(at + 1), after.length > 0 ? `#${after.join("#")}` : ""];
};

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}

/** The parameters of an address, in their order. */
export function paramsOf(url: string): Pair[] {
  const query = split(url)[1];
  if (!query) return [];
  return query.split("&").filter((p) => p !== "").map((p) => {
    const at = p.indexOf("=");
    return at < 0 ? { name: decode(p), value: "" } : { name: decode(p.slice(0, at)), value: decode(p.slice(at + 1)) };
  });
}

/** An address with other parameters. */
export function withParams(url: string, params: readonly Pair[]): string {
  const [base, , hash] = split(url);
  const query = params.filter((p) => p.name !== "").map((p) => `${encodeURIComponent(p.name)}=${encodeURIComponent(p.value)}`).join("&");
  return base + (query ? `?${query}` : "") + hash;
}

/** What a form was like when it was left, to go on with. */
export interface Carried {
  draft: Draft;
  /** As it was before anything was typed. */
  start: Draft;
}

/** What was typed, on top of what is there now: a field that was not touched is as it is now. */
export function merge(now: Draft, { draft, start }: Carried): Draft {
  const out: Record<string, unknown> = { ...now };
  const groups: (keyof Draft)[][] = [["url", "params"], ["every", "types"], ["filterBy", "filterAll", "rows", "filter"], ["batching", "batchMax", "batchWait", "coalesce"], ["auth", "username", "password", "token"]];
  const together = new Map(groups.flatMap((g) => g.map((k) => [k, g] as const)));
  for (const key of Object.keys(now) as (keyof Draft)[]) {
    if (JSON.stringify(draft[key]) === JSON.stringify(start[key])) continue;
    for (const k of together.get(key) ?? [key]) out[k] = draft[k];
  }
  return out as unknown as Draft;
}

/** The fields of the form in which two drafts differ. */
export function differing(a: Draft, b: Draft): string[] {
  const names: Partial<Record<keyof Draft, string>> = { params: "url", every: "types", filterBy: "filter", filterAll: "filter", rows: "filter", batching: "batch", batchMax: "batch", batchWait: "batch", coalesce: "batch", username: "auth", password: "auth", token: "auth" };
  const out = (Object.keys(a) as (keyof Draft)[]).filter((k) => JSON.stringify(a[k]) !== JSON.stringify(b[k])).map((k) => names[k] ?? k);
  return [...new Set(out)];
}

/** An address as people paste it: without spaces around it; without a scheme it is meant to be https, but on this computer http. */
export function tidyUrl(url: string): string {
  const text = url.trim();
  if (text === "" || /^[a-z][a-z\d+.-]*:\/\//i.test(text) || !/^[\w-]+(\.[\w-]+)*(:\d+)?([/?]|$)/.test(text) || !/[.:]/.test(text.split(/[/?]/)[0] ?? "")) return text;
  return `${/^(localhost|127\.)/.test(text) ? "http" : "https"}://${text}`;
}

export type UrlFault = "" | "empty" | "scheme" | "bad" | "space" | "user" | "hash";

/** What is wrong with an address as far as it can be seen here; "" when it looks right. */
export function urlFault(url: string): UrlFault {
  const text = url.trim();
  if (text === "") return "empty";
  if (/\s/.test(text)) return "space";
  if (!/^https?:\/\//i.test(text)) return "scheme";
  let parsed: URL;
  try {
    parsed = new URL(text);
  } catch {
    return "bad";
  }
  if (parsed.username || parsed.password) return "user";
  if (parsed.hash) return "hash";
  return parsed.hostname === "" ? "bad" : "";
}
