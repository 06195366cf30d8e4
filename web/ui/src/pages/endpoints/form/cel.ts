// Filters: rows of the builder to CEL and, where a filter is as plain as the builder's, back. Pure.
export type Op = "is" | "isnot" | "contains" | "notcontains" | "starts" | "ends" | "gt" | "ge" | "lt" | "le" | "in" | "notin" | "has" | "hasnot";
const ops: readonly Op[] = ["is", "isnot", "contains", "notcontains", "starts", "ends", "gt", "ge", "lt", "le", "in", "notin", "has", "hasnot"];

/** What a field's values are; numeric: texts that hold a number, such as "12.50"; objects: a list of them; "any" when nobody knows. */
export type Kind = "string" | "number" | "numeric" | "boolean" | "list" | "objects" | "any";

export interface Condition {
  /** As it is written in CEL: "subject", "data.customer.country", "channels". */
  field: string;
  op: Op;
  /** As people type it: text, a number, yes or no; for in: with commas. */
  value: string;
  /** As it was written, while nothing in the row was changed: a saved filter stays what it is. */
  text?: string;
}

export interface Filter {
  /** All of them must hold, or any. */
  all: boolean;
  rows: Condition[];
}

/** The attributes that may be compared; data and extensions come with a path. */
export const attributes = ["type", "subject", "source", "key", "id", "datacontenttype"] as const;
export const noValue = (op: Op): boolean => op === "has" || op === "hasnot";

/** In a field's name: any member of the list before it. */
const ANY = "[].";

/** The operators that a field takes. */
export function opsOf(field: string, kind: Kind): readonly Op[] {
  if (field.includes(ANY)) return opsOf("data", kind).filter((op) => !noValue(op));
  if (kind === "objects") return ["has", "hasnot"];
  if (field === "channels" || kind === "list") return field === "channels" ? ["contains", "notcontains"] : ["contains", "notcontains", "has", "hasnot"];
  if (field === "version") return ["is", "isnot", "gt", "ge", "lt", "le"];
  if (!field.startsWith("data") && !field.startsWith("ext")) return ["is", "isnot", "starts", "ends", "contains", "notcontains", "in", "notin"];
  if (kind === "boolean") return ["is", "isnot", "has", "hasnot"];
  if (kind === "number" || kind === "numeric") return ["is", "isnot", "gt", "ge", "lt", "le", "in", "notin", "has", "hasnot"];
  return ops;
}

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

function quoted(text: string): string {
  const escaped = text.replace(/[\\"\n\r\t]/g, (c) => ({ "\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t" })[c] ?? c);
  return `"${escaped}"`;
}

/** A typed value as CEL: known kinds decide, else what it looks like; "in quotes" is always text. */
export function literal(text: string, kind: Kind): string {
  const value = text.trim();
  const inner = /^"(.*)"$/s.exec(value)?.[1];
  if (inner !== undefined) return quoted(inner);
  if (kind === "string" || kind === "list") return quoted(value);
  if (kind === "numeric" && /^-?\d+$/.test(value)) return `${value}.0`;
  if (value === "true" || value === "false" || value === "null" || NUMBER.test(value)) return value;
  return quoted(value);
}

/** The fields that CEL knows a text in; they never meet a number. */
function kindOf(field: string, kind: Kind): Kind {
  if (field === "version") return "number";
  return field.startsWith("data") || field.startsWith("ext") ? kind : "string";
}

const POSITIVE: Partial<Record<Op, Op>> = { isnot: "is", notcontains: "contains", notin: "in" };

function one(c: Condition, kind: Kind): string {
  const at = c.field.indexOf(ANY);
  if (at >= 0) {
    // Of a list of objects: some member is like this; or none is.
    const inner = one({ ...c, op: POSITIVE[c.op] ?? c.op, field: `data.${c.field.slice(at + ANY.length)}` }, kind).replaceAll(/^(double\()?data\./g, "$1x.");
    return `${c.op in POSITIVE ? "!" : ""}${c.field.slice(0, at)}.exists(x, ${inner})`;
  }
  if (kind === "numeric" && !noValue(c.op)) {
    const plain = one(c, "any");
    const numbers = c.op === "in" || c.op === "notin" ? c.value.split(",").map((v) => literal(v, kind)).join(", ") : literal(c.value, kind);
    return plain.includes(" in [") ? plain.replace(`${c.field} in [`, `double(${c.field}) in [`).replace(/\[.*\]/, () => `[${numbers}]`) : `double(${c.field}) ${MARKS[c.op] ?? "=="} ${numbers}`;
  }
  const k = kindOf(c.field, kind);
  const value = (): string => literal(c.value, k);
  const list = (): string => `[${c.value.split(",").map((v) => v.trim()).filter((v) => v !== "").map((v) => literal(v, k)).join(", ")}]`;
  const within = c.field === "channels" || kind === "list" ? `${quoted(c.value.trim())} in ${c.field}` : `${c.field}.contains(${literal(c.value, "string")})`;
  switch (c.op) {
    case "is":
      return `${c.field} == ${value()}`;
    case "isnot":
      return `${c.field} != ${value()}`;
    case "contains":
      return within;
    case "notcontains":
      return within.includes(" in ") && (c.field === "channels" || kind === "list") ? `!(${within})` : `!${within}`;
    case "starts":
      return `${c.field}.startsWith(${literal(c.value, "string")})`;
    case "ends":
      return `${c.field}.endsWith(${literal(c.value, "string")})`;
    case "gt":
      return `${c.field} > ${value()}`;
    case "ge":
      return `${c.field} >= ${value()}`;
    case "lt":
      return `${c.field} < ${value()}`;
    case "le":
      return `${c.field} <= ${value()}`;
    case "in":
      return `${c.field} in ${list()}`;
    case "notin":
      return `!(${c.field} in ${list()})`;
    case "has":
      return `has(${c.field})`;
    case "hasnot":
      return `!has(${c.field})`;
  }
}

const MARKS: Partial<Record<Op, string>> = { is: "==", isnot: "!=", gt: ">", ge: ">=", lt: "<", le: "<=" };

/** A number is compared with something that is none: the condition would never hold. */
export function notNumber(c: Condition, kind: Kind): boolean {
  if ((kind !== "number" && kind !== "numeric") || noValue(c.op) || c.text !== undefined || !complete(c)) return false;
  const values = c.op === "in" || c.op === "notin" ? c.value.split(",").filter((v) => v.trim() !== "") : [c.value];
  return values.some((v) => !NUMBER.test(v.trim()) && v.trim() !== "null");
}

/** Whether a row says enough to be written. */
export function complete(c: Condition): boolean {
  if (c.field.trim() === "") return false;
  if (noValue(c.op)) return true;
  return c.op === "in" || c.op === "notin" ? c.value.split(",").some((v) => v.trim() !== "") : c.value.trim() !== "";
}

/** The CEL of a filter; rows that are not complete are left out. */
export function write(filter: Filter, kind: (field: string) => Kind): string {
  return filter.rows
    .filter(complete)
    .map((c) => c.text ?? one(c, kind(c.field)))
    .join(filter.all ? " && " : " || ");
}

/** A path under data as CEL writes it: ["customer", "zip-code"] → data.customer["zip-code"]. */
export function path(steps: readonly string[]): string {
  return steps.reduce((out, s) => out + (/^[A-Za-z_]\w*$/.test(s) && !["in", "true", "false", "null"].includes(s) ? `.${s}` : `[${quoted(s)}]`), "data");
}

interface Token {
  kind: "name" | "string" | "number" | "mark";
  text: string;
  start: number;
  end: number;
}

function lex(source: string): Token[] | undefined {
  const out: Token[] = [];
  const rule = /\s*(?:([A-Za-z_]\w*)|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|"((?:[^"\\\n]|\\["\\nrt'])*)"|'((?:[^'\\\n]|\\["\\nrt'])*)'|(&&|\|\||==|!=|<=|>=|[<>!()[\].,]))\s*/y;
  while (rule.lastIndex < source.length) {
    const at = rule.lastIndex;
    const m = rule.exec(source);
    if (!m) return undefined;
    const text = m[3] ?? m[4];
    if (m[1] !== undefined && /["']/.test(source.charAt(at + m[0].length)) && !/\s$/.test(m[0])) return undefined; // r"raw" and its like
    const start = at + m[0].length - m[0].trimStart().length;
    const place = { start, end: start + m[0].trim().length };
    if (m[1] !== undefined) out.push({ kind: "name", text: m[1], ...place });
    else if (m[2] !== undefined) out.push({ kind: "number", text: m[2], ...place });
    else if (text !== undefined) out.push({ kind: "string", text: text.replace(/\\(.)/g, (_, c: string) => ({ n: "\n", r: "\r", t: "\t" })[c] ?? c), ...place });
    else out.push({ kind: "mark", text: m[5] ?? "", ...place });
  }
  return out;
}

const COMPARE: Record<string, Op> = { "==": "is", "!=": "isnot", ">": "gt", ">=": "ge", "<": "lt", "<=": "le" };
const METHODS: Record<string, Op> = { startsWith: "starts", endsWith: "ends", contains: "contains" };
const NEGATED: Partial<Record<Op, Op>> = { contains: "notcontains", in: "notin", has: "hasnot", is: "isnot", isnot: "is" };
const ROOTS = new Set<string>([...attributes, "version", "data", "ext"]);

class Reader {
  readonly #source: string;
  readonly #tokens: Token[];
  #at = 0;
  #member = ""; // what a member of a list is called
  constructor(source: string, tokens: Token[]) {
    this.#source = source;
    this.#tokens = tokens;
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#at];
  }
  #take(text: string): boolean {
    const next = this.#peek();
    if (next && (next.kind === "mark" || next.kind === "name") && next.text === text) {
      this.#at++;
      return true;
    }
    return false;
  }
  get done(): boolean {
    return this.#at >= this.#tokens.length;
  }

  /** The value of a literal as a person would type it: text that looks like something else keeps its quotes. */
  #value(): string | undefined {
    const next = this.#tokens[this.#at++];
    if (!next) return undefined;
    if (next.kind === "number") return next.text;
    if (next.kind === "name") return ["true", "false", "null"].includes(next.text) ? next.text : undefined;
    if (next.kind !== "string") return undefined;
    const t = next.text;
    return t !== t.trim() || t === "" || NUMBER.test(t) || ["true", "false", "null"].includes(t) || t.includes(",") || /^".*"$/s.test(t) ? `"${t}"` : t;
  }

  #path(): string | undefined {
    const first = this.#peek();
    if (first?.kind !== "name" || !(ROOTS.has(first.text) || (this.#member !== "" && first.text === this.#member))) return undefined;
    this.#at++;
    let out = first.text;
    for (;;) {
      const name = this.#tokens[this.#at + 1];
      const after = this.#tokens[this.#at + 2];
      if (this.#peek()?.text === "." && this.#peek()?.kind === "mark" && name?.kind === "name") {
        if (after?.kind === "mark" && after.text === "(") return out;
        out += `.${name.text}`;
        this.#at += 2;
      } else if (this.#peek()?.text === "[" && this.#peek()?.kind === "mark" && name?.kind === "string" && after?.text === "]") {
        out += `[${quoted(name.text)}]`;
        this.#at += 3;
      } else return out;
    }
  }

  condition(): Condition | undefined {
    if (this.#take("!")) {
      const group = this.#take("(");
      const inner = this.condition();
      if (!inner || (group && !this.#take(")"))) return undefined;
      // "!a == b" means something else, and is not the builder's.
      if (!group && !["has", "contains"].includes(inner.op) && !inner.field.includes(ANY)) return undefined;
      if (inner.field.includes(ANY) && (inner.op === "isnot" || group)) return undefined;
      const op = NEGATED[inner.op];
      return op && { ...inner, op };
    }
    if (this.#peek()?.text === "has" && this.#peek()?.kind === "name") {
      this.#at++;
      if (!this.#take("(")) return undefined;
      const field = this.#path();
      return field !== undefined && field.includes(".") && this.#take(")") ? { field, op: "has", value: "" } : undefined;
    }
    if (this.#peek()?.kind === "string") {
      const value = this.#tokens[this.#at++]?.text ?? "";
      if (!this.#take("in")) return undefined;
      const field = this.#take("channels") ? "channels" : this.#path();
      return field === undefined ? undefined : { field, op: "contains", value };
    }
    return this.#comparison();
  }

  /** name, condition): of the members of a list. */
  #exists(list: string): Condition | undefined {
    const name = this.#tokens[this.#at++];
    if (this.#member !== "" || name?.kind !== "name" || ROOTS.has(name.text) || !this.#take(",")) return undefined;
    this.#member = name.text;
    const inner = this.#comparison();
    this.#member = "";
    if (!inner?.field.startsWith(`${name.text}.`) || inner.op === "isnot" || !this.#take(")")) return undefined;
    return { ...inner, field: list + ANY + inner.field.slice(name.text.length + 1) };
  }

  #comparison(): Condition | undefined {
    const numeric = this.#peek()?.text === "double" && this.#tokens[this.#at + 1]?.text === "(";
    if (numeric) this.#at += 2;
    const field = this.#path();
    if (numeric) {
      if (!field?.includes(".") || !this.#take(")")) return undefined;
      const mark = this.#tokens[this.#at];
      if (mark?.text === "." || (mark?.text !== "in" && this.#tokens[this.#at + 1]?.kind !== "number")) return undefined;
    }
    if (field === undefined || field === "data" || field === "ext") return undefined;
    const next = this.#tokens[this.#at++];
    if (!next) return undefined;
    if (next.kind === "mark" && next.text in COMPARE) {
      const value = this.#value();
      const op = COMPARE[next.text];
      return value === undefined || !op ? undefined : { field, op, value: numeric ? value.replace(/\.0$/, "") : value };
    }
    if (next.kind === "name" && next.text === "in") return this.#list(field);
    const method = this.#tokens[this.#at++];
    if (next.text === "." && method?.text === "exists" && field.startsWith("data.") && this.#take("(")) return this.#exists(field);
    const op = next.text === "." && method ? METHODS[method.text] : undefined;
    if (!op || !this.#take("(") || this.#peek()?.kind !== "string") return undefined;
    const value = this.#tokens[this.#at++]?.text ?? "";
    return this.#take(")") ? { field, op, value } : undefined;
  }

  #list(field: string): Condition | undefined {
    if (!this.#take("[")) return undefined;
    const values: string[] = [];
    do {
      const value = this.#value();
      if (value === undefined || value.includes(",")) return undefined;
      values.push(value);
    } while (this.#take(","));
    return this.#take("]") ? { field, op: "in", value: values.join(", ") } : undefined;
  }

  /** conditions = condition {"&&" condition} | condition {"||" condition}. */
  filter(): Filter | undefined {
    const rows: Condition[] = [];
    let mark: string | undefined;
    for (;;) {
      const before = this.#at;
      let row = this.condition();
      if (!row) {
        this.#at = before; // (condition)
        if (!this.#take("(")) return undefined;
        row = this.condition();
        if (!row || !this.#take(")")) return undefined;
      }
      rows.push({ ...row, text: this.#source.slice(this.#tokens[before]?.start, this.#tokens[this.#at - 1]?.end) });
      if (this.done) return { all: mark !== "||", rows };
      const next = this.#take("&&") ? "&&" : this.#take("||") ? "||" : undefined;
      if (!next || (mark && mark !== next)) return undefined;
      mark = next;
    }
  }
}

/** The rows of a written filter, or undefined if it says more than the builder can. */
export function read(source: string): Filter | undefined {
  if (source.trim() === "") return { all: true, rows: [] };
  const tokens = lex(source);
  return tokens && tokens.length > 0 ? new Reader(source, tokens).filter() : undefined;
}
