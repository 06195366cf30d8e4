// A JSON Schema as lines that people read: pure. What it cannot put into words stays in the schema itself.
type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface SchemaLine {
  /** Where it is, unique: "customer.email", "items[].sku". */
  path: string;
  depth: number;
  name: string;
  /** "string", "integer or null", "array of object", "one of". */
  type: string;
  required: boolean;
  description: string;
  /** What the value must be besides: each a pair of the schema's own keyword and its value. */
  limits: { word: string; value: string }[];
}

const DEPTH = 12;
const MOST = 1000;
const LIMITS = ["format", "const", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "default"];

function isObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The schema that a local reference means; undefined for one elsewhere, or none. */
function target(root: Json, ref: string): Json | undefined {
  if (!ref.startsWith("#")) return undefined;
  let at: Json | undefined = root;
  for (const step of ref.slice(1).split("/").filter(Boolean)) {
    const key = decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~");
    if (Array.isArray(at)) at = at[Number(key)];
    else if (isObject(at) && Object.hasOwn(at, key)) at = at[key];
    else return undefined;
  }
  return at;
}

/** The type in a few words. A reference to what is being told already is told by its name. */
function typeOf(schema: { [key: string]: Json }, root: Json): string {
  const type = schema.type;
  if (Array.isArray(type)) return type.join(" | ");
  if (typeof type === "string") {
    const items = schema.items;
    if (type === "array" && isObject(items)) {
      const to = typeof items.$ref === "string" ? target(root, items.$ref) : items;
      return `array<${(isObject(to) && !to.$ref && typeOf(to, root)) || "any"}>`;
    }
    return type;
  }
  if (schema.properties) return "object";
  if (schema.items) return "array";
  if (schema.enum || schema.const !== undefined) return "enum";
  for (const word of ["oneOf", "anyOf", "allOf"]) if (Array.isArray(schema[word])) return word;
  return typeof schema.$ref === "string" ? `→ ${schema.$ref.startsWith("#/") ? (schema.$ref.split("/").at(-1) ?? "") : schema.$ref}` : "";
}

function limitsOf(schema: { [key: string]: Json }): SchemaLine["limits"] {
  const out: SchemaLine["limits"] = [];
  if (Array.isArray(schema.enum)) out.push({ word: "enum", value: schema.enum.map((v) => JSON.stringify(v)).join(", ") });
  for (const word of LIMITS) {
    const value = schema[word];
    if (value !== undefined) out.push({ word, value: typeof value === "string" ? value : JSON.stringify(value) });
  }
  if (schema.additionalProperties === false) out.push({ word: "additionalProperties", value: "false" });
  return out;
}

/** The lines of a schema. The root's own line is left out when it is an object with members. */
export function schemaLines(root: unknown): SchemaLine[] {
  const out: SchemaLine[] = [];
  const whole = root as Json;

  function resolve(schema: Json, seen: readonly string[]): { schema: { [key: string]: Json }; seen: readonly string[] } | undefined {
    if (!isObject(schema)) return undefined;
    const ref = schema.$ref;
    if (typeof ref !== "string") return { schema, seen };
    const to = target(whole, ref);
    if (to === undefined || seen.includes(ref) || !isObject(to)) return { schema, seen };
    const { $ref: _, ...own } = schema;
    return resolve({ ...to, ...own }, [...seen, ref]);
  }
  function add(raw: Json, path: string, name: string, depth: number, required: boolean, refs: readonly string[]): void {
    if (out.length >= MOST) return;
    const found = resolve(raw, refs);
    if (!found) {
      out.push({ path, depth, name, type: raw === false ? "never" : "any", required, description: "", limits: [] });
      return;
    }
    const { schema, seen } = found;
    const isRoot = path === "";
    if (!isRoot || !isObject(schema.properties)) {
      const description = typeof schema.description === "string" ? schema.description : typeof schema.title === "string" ? schema.title : "";
      out.push({ path: path || "$", depth, name, type: typeOf(schema, whole), required, description, limits: limitsOf(schema) });
    }
    if (depth >= DEPTH) return;
    inside(schema, path, isRoot && isObject(schema.properties) ? depth : depth + 1, seen);
  }
  function inside(schema: { [key: string]: Json }, path: string, depth: number, seen: readonly string[]): void {
    const needed = Array.isArray(schema.required) ? schema.required : [];
    if (isObject(schema.properties)) {
      for (const [key, value] of Object.entries(schema.properties)) add(value, path ? `${path}.${key}` : key, key, depth, needed.includes(key), seen);
    }
    if (isObject(schema.items)) {
      const items = resolve(schema.items, seen);
      // Items that are plain values are told by the array's own type.
      if (items && (items.schema.properties || items.schema.items)) inside(items.schema, `${path}[]`, depth, items.seen);
    }
    if (isObject(schema.additionalProperties)) add(schema.additionalProperties, `${path}.*`, "*", depth, false, seen);
    for (const word of ["oneOf", "anyOf", "allOf"]) {
      const list = schema[word];
      if (Array.isArray(list)) list.forEach((one, i) => add(one, `${path}|${word}${i}`, `${word} ${i + 1}`, depth, false, seen));
    }
  }
  add(whole, "", "", 0, false, []);
  return out;
}
