// What the form offers: types in groups, and the fields that a filter can look at. Pure.
import { path, type Kind } from "./cel";

export interface CatalogueType {
  name: string;
  description?: string | undefined;
  schema?: unknown;
  examples?: unknown[] | undefined;
  archived?: boolean | undefined;
}

/** An event as far as it is looked at here. */
export interface SeenEvent {
  type: string;
  subject?: string | undefined;
  source?: string | undefined;
  data?: unknown;
}

export interface OfferedType {
  name: string;
  description: string;
  /** Not in the catalogue, but on the log. */
  seen: boolean;
}

export interface TypeGroup {
  /** The first segment, "" for types without one. */
  prefix: string;
  /** The pattern that takes the whole group, also types to come. */
  pattern: string | undefined;
  types: OfferedType[];
}

/** The types of the catalogue and those seen, by their first segment. */
export function groups(catalogue: readonly CatalogueType[], seen: Iterable<string>): TypeGroup[] {
  const offered = new Map<string, OfferedType>();
  for (const t of catalogue) if (!t.archived) offered.set(t.name, { name: t.name, description: t.description ?? "", seen: false });
  for (const name of seen) if (!offered.has(name) && !name.startsWith("posthorn.")) offered.set(name, { name, description: "", seen: true });
  const by = new Map<string, OfferedType[]>();
  for (const t of [...offered.values()].sort((a, b) => a.name.localeCompare(b.name))) {
    const dot = t.name.indexOf(".");
    const prefix = dot < 0 ? "" : t.name.slice(0, dot);
    by.set(prefix, [...(by.get(prefix) ?? []), t]);
  }
  return [...by.entries()].map(([prefix, types]) => {
    const deep = types.some((t) => t.name.split(".").length > 2);
    return { prefix, types, pattern: prefix === "" ? undefined : `${prefix}.${deep ? "**" : "*"}` };
  });
}

export interface Field {
  /** As CEL writes it: data.customer.country. */
  name: string;
  kind: Kind;
  /** Some of its values, to be suggested. */
  values: string[];
}

const DEPTH = 5;
const MOST = 300;

class Fields {
  readonly all = new Map<string, Field>();

  add(name: string, kind: Kind, value?: string): void {
    let field = this.all.get(name);
    if (!field) {
      if (this.all.size >= MOST) return;
      field = { name, kind, values: [] };
      this.all.set(name, field);
    } else if (field.kind === "any") field.kind = kind;
    else if (kind !== "any" && field.kind !== kind) field.kind = "any";
    if (value !== undefined && value !== "" && value.length <= 60 && field.values.length < 8 && !field.values.includes(value)) field.values.push(value);
  }

  data(value: unknown, steps: string[]): void {
    if (value === null || value === undefined) return;
    if (Array.isArray(value)) {
      if (steps.length === 0) return;
      const members = value.filter((one): one is object => typeof one === "object" && one !== null && !Array.isArray(one)).slice(0, 3);
      this.add(path(steps), members.length > 0 ? "objects" : "list", typeof value[0] === "string" ? value[0] : undefined);
      for (const one of members) {
        for (const [key, inner] of Object.entries(one)) if (["string", "number", "boolean"].includes(typeof inner) && /^[A-Za-z_]\w*$/.test(key)) this.add(`${path(steps)}[].${key}`, typeof inner as Kind, String(inner));
      }
    } else if (typeof value === "object") {
      if (steps.length >= DEPTH) return;
      for (const [key, inner] of Object.entries(value)) this.data(inner, [...steps, key]);
    } else if (steps.length > 0) this.add(path(steps), typeof value as Kind, String(value as string | number | boolean));
  }

  schema(schema: unknown, steps: string[]): void {
    if (typeof schema !== "object" || schema === null || steps.length > DEPTH) return;
    const s = schema as { type?: unknown; properties?: Record<string, unknown>; enum?: unknown[]; items?: { properties?: Record<string, unknown> } };
    if (s.properties) {
      for (const [key, inner] of Object.entries(s.properties)) this.schema(inner, [...steps, key]);
      return;
    }
    if (steps.length === 0) return;
    const kinds: Record<string, Kind> = { string: "string", number: "number", integer: "number", boolean: "boolean", array: "list" };
    const name = path(steps);
    if (s.items?.properties) {
      this.add(name, "objects");
      for (const [key, inner] of Object.entries(s.items.properties)) if (/^[A-Za-z_]\w*$/.test(key)) this.add(`${name}[].${key}`, kinds[String((inner as { type?: unknown } | null)?.type)] ?? "any");
      return;
    }
    this.add(name, typeof s.type === "string" ? (kinds[s.type] ?? "any") : "any");
    for (const v of s.enum ?? []) if (typeof v === "string" || typeof v === "number") this.add(name, typeof v as Kind, String(v));
  }
}

/** The fields that filters can look at, from schemas, examples and events on the log; attributes first. */
export function fields(catalogue: readonly CatalogueType[], events: readonly SeenEvent[]): Field[] {
  const found = new Fields();
  for (const name of ["type", "subject", "source", "key"]) found.add(name, "string");
  found.add("channels", "list");
  for (const t of catalogue) {
    found.add("type", "string", t.name);
    found.schema(t.schema, []);
    for (const example of t.examples ?? []) found.data(example, []);
  }
  for (const e of events) {
    found.add("type", "string", e.type);
    if (e.subject) found.add("subject", "string", e.subject);
    if (e.source) found.add("source", "string", e.source);
    found.data(e.data, []);
  }
  // Amounts are often written as texts: they are compared as the numbers they hold.
  const numeric = (f: Field): boolean => f.kind === "string" && f.name.startsWith("data") && f.values.length > 0 && f.values.every((v) => /^-?\d+\.\d+$/.test(v));
  return [...found.all.values()].map((f) => (numeric(f) ? { ...f, kind: "numeric" } : f));
}
