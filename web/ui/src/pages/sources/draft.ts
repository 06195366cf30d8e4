// A source as its form holds it, and as the API takes it: pure.
import type { Provider, Source } from "$api";

export interface Pair {
  name: string;
  value: string;
}
export const mapKeys = ["type", "id", "subject", "key", "time", "accept"] as const;
export type MapKey = (typeof mapKeys)[number];

export interface Draft {
  name: string;
  provider: string;
  description: string;
  secret: string;
  settings: Record<string, string>;
  dedupe: "id" | "body" | "none";
  inspect: "none" | "refused" | "all";
  disabled: boolean;
  map: Record<MapKey, string>;
  as: "body" | "fields" | "data";
  data: string;
  fields: Pair[];
  answers: "usual" | "own" | "endpoint";
  status: number | undefined;
  headers: Pair[];
  body: string;
  endpoint: string;
  wait: string;
  tolerance: string;
  allow: string[];
}

export function draftOf(s?: Source): Draft {
  const map = s?.map ?? {};
  const fields = Object.entries(map.fields ?? {}).map(([name, value]) => ({ name, value: String(value) }));
  return {
    name: s?.name ?? "",
    provider: s?.provider ?? "",
    description: s?.description ?? "",
    secret: "",
    settings: { ...(s?.settings as Record<string, string> | undefined) },
    dedupe: s?.dedupe ?? "id",
    inspect: s?.inspect ?? "refused",
    disabled: s?.disabled ?? false,
    map: Object.fromEntries(mapKeys.map((k) => [k, map[k] ?? ""])) as Record<MapKey, string>,
    as: fields.length > 0 ? "fields" : map.data ? "data" : "body",
    data: map.data ?? "",
    fields,
    answers: s?.sync ? "endpoint" : s?.answer ? "own" : "usual",
    status: s?.answer?.status ?? 200,
    headers: Object.entries((s?.answer?.headers ?? {}) as Record<string, string>).map(([name, value]) => ({ name, value })),
    body: s?.answer?.body ?? "",
    endpoint: s?.sync?.endpoint ?? "",
    wait: s?.sync?.wait ?? "10s",
    tolerance: s?.tolerance ?? "",
    allow: [...(s?.allow ?? [])],
  };
}

function record(pairs: readonly Pair[]): Record<string, string> {
  return Object.fromEntries(pairs.filter((p) => p.name.trim() !== "").map((p) => [p.name.trim(), p.value]));
}

/** The settings to send: those that the provider knows; a secret one that is there and was left empty stays. */
function settingsOf(d: Draft, provider: Provider | undefined, old?: Source): Record<string, string> {
  const out: Record<string, string> = {};
  const had = old?.provider === d.provider ? (old.settings as Record<string, string> | undefined) : undefined;
  for (const s of provider?.settings ?? []) {
    const value = (d.settings[s.name] ?? "").trim();
    if (value !== "" || (s.secret && had && s.name in had)) out[s.name] = value;
  }
  return out;
}

function mapOf(d: Draft): Record<string, unknown> | undefined {
  const map: Record<string, unknown> = {};
  for (const key of mapKeys) if (d.map[key].trim()) map[key] = d.map[key].trim();
  if (d.as === "data" && d.data.trim()) map.data = d.data.trim();
  if (d.as === "fields" && d.fields.some((f) => f.name.trim())) map.fields = record(d.fields);
  return Object.keys(map).length > 0 ? map : undefined;
}

/** The body of POST, or of PUT when there is an old one: secrets are left out of that, so that they stay. */
export function bodyOf(d: Draft, provider: Provider | undefined, old?: Source): Record<string, unknown> {
  const map = mapOf(d);
  const headers = record(d.headers);
  return {
    name: d.name.trim(),
    provider: d.provider,
    description: d.description.trim(),
    ...(old === undefined && d.secret.trim() ? { secrets: [d.secret.trim()] } : {}),
    settings: settingsOf(d, provider, old),
    dedupe: d.dedupe,
    inspect: d.inspect,
    disabled: d.disabled,
    allow: d.allow,
    metadata: old?.metadata ?? {},
    ...(d.tolerance ? { tolerance: d.tolerance } : {}),
    ...(map ? { map } : {}),
    ...(d.answers === "own" ? { answer: { status: d.status ?? 200, ...(Object.keys(headers).length > 0 ? { headers } : {}), ...(d.body ? { body: d.body } : {}) } } : {}),
    ...(d.answers === "endpoint" && d.endpoint ? { sync: { endpoint: d.endpoint, wait: d.wait || "10s" } } : {}),
  };
}

const generic = ["token", "hmac", "basic", "standard", "httpsig", "genericjson", "none"] as const;
export type Generic = (typeof generic)[number];
/** Whether a provider stands for any sender. */
export function isGeneric(name: string): boolean {
  return (generic as readonly string[]).includes(name);
}
const chosen = ["token", "hmac", "github", "github-sha1", "gitlab", "gitea", "forgejo", "bitbucket", "telegram"];
/** Whether any text will do as its secret, so that one can be made here and entered at the provider. */
export function takesAnySecret(p: Pick<Provider, "name" | "secret">): boolean {
  return chosen.includes(p.name) || secretInAddress(p);
}
/** Whether the secret is a part of the address that the provider gets. */
export function secretInAddress(p: Pick<Provider, "secret">): boolean {
  return p.secret?.includes("?code=") ?? false;
}

/** All providers, those for any sender last and in the order in which they are to be read. */
export function ordered(all: readonly Provider[]): Provider[] {
  const place = (p: Provider): number => (generic as readonly string[]).indexOf(p.name);
  return [...all].sort((a, b) => place(a) - place(b) || a.title.localeCompare(b.title));
}

const often = ["github", "gitlab", "stripe", "shopify", "slack", "paypal", "twilio", "hubspot", "meta"];
/** The same in three groups: those that most people look for, those for any sender, and all others. */
export function grouped(all: readonly Provider[]): { key: "often" | "any" | "others"; of: Provider[] }[] {
  const known = often.flatMap((name) => all.filter((p) => p.name === name));
  return [
    { key: "often", of: known },
    { key: "any", of: all.filter((p) => isGeneric(p.name)) },
    { key: "others", of: all.filter((p) => !isGeneric(p.name) && !known.includes(p)) },
  ];
}

/** A name to begin with, made of the provider's. */
export function nameFor(provider: string): string {
  return isGeneric(provider) ? "" : provider;
}

/** A secret that nobody guesses, for senders that take any: 32 random bytes. */
export function randomSecret(): string {
  return [...crypto.getRandomValues(new Uint8Array(24))].map((b) => b.toString(16).padStart(2, "0")).join("");
}
