// JSON as it was written: numbers keep their digits, keys their order and their doubles, "__proto__" is a key like any other.
export type JsonNode =
  | { kind: "object"; start: number; end: number; members: { key: string; node: JsonNode }[] }
  | { kind: "array"; start: number; end: number; items: JsonNode[] }
  | { kind: "string"; start: number; end: number; value: string }
  | { kind: "number" | "word"; start: number; end: number; value: string };

const DEPTH = 200;

/** Parses a text; throws a SyntaxError if it is no JSON. */
export function parse(text: string): JsonNode {
  let at = 0;
  const fault = (): never => {
    throw new SyntaxError(`no JSON at ${at}`);
  };
  const space = (): void => {
    while (at < text.length && " \t\n\r".includes(text.charAt(at))) at++;
  };
  const string = (): string => {
    const start = at++;
    for (; at < text.length; at++) {
      const c = text.charCodeAt(at);
      if (c === 92) at++;
      else if (c === 34) return JSON.parse(text.slice(start, ++at)) as string;
      else if (c < 32) fault();
    }
    return fault();
  };
  const scalar = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)|true|false|null/y;

  function list(close: string, one: () => void): void {
    at++;
    space();
    if (text.charAt(at) === close) {
      at++;
      return;
    }
    for (;;) {
      one();
      space();
      const c = text.charAt(at++);
      if (c === close) return;
      if (c !== ",") fault();
      space();
    }
  }
  function value(depth: number): JsonNode {
    space();
    if (depth > DEPTH) fault();
    const start = at;
    const c = text.charAt(at);
    if (c === "{") {
      const members: { key: string; node: JsonNode }[] = [];
      list("}", () => {
        if (text.charAt(at) !== '"') fault();
        const key = string();
        space();
        if (text.charAt(at++) !== ":") fault();
        members.push({ key, node: value(depth + 1) });
      });
      return { kind: "object", start, end: at, members };
    }
    if (c === "[") {
      const items: JsonNode[] = [];
      list("]", () => items.push(value(depth + 1)));
      return { kind: "array", start, end: at, items };
    }
    if (c === '"') {
      const s = string();
      return { kind: "string", start, end: at, value: s };
    }
    scalar.lastIndex = at;
    const m = scalar.exec(text);
    if (!m) return fault();
    at += m[0].length;
    return { kind: /[tfn]/.test(c) ? "word" : "number", start, end: at, value: m[0] };
  }
  const root = value(0);
  space();
  if (at !== text.length) fault();
  return root;
}

/** The exact text of one member of an object: member(reply.text, "data") is an event's data as it came. */
export function member(text: string, key: string): string | undefined {
  try {
    const root = parse(text);
    if (root.kind !== "object") return undefined;
    const found = root.members.find((m) => m.key === key);
    return found && text.slice(found.node.start, found.node.end);
  } catch {
    return undefined;
  }
}

/** Indents a JSON text without touching its values; gives it back as it is if it is no JSON. */
export function pretty(text: string): string {
  try {
    return write(parse(text), text, "");
  } catch {
    return text;
  }
}

function write(node: JsonNode, text: string, indent: string): string {
  const more = `${indent}  `;
  if (node.kind === "object") {
    if (node.members.length === 0) return "{}";
    return `{\n${node.members.map((m) => `${more}${JSON.stringify(m.key)}: ${write(m.node, text, more)}`).join(",\n")}\n${indent}}`;
  }
  if (node.kind === "array") {
    if (node.items.length === 0) return "[]";
    return `[\n${node.items.map((n) => more + write(n, text, more)).join(",\n")}\n${indent}]`;
  }
  return text.slice(node.start, node.end);
}

export interface TreeRow {
  /** Where it is: "$", "$.data", '$["a b"]', "$.items[100…199]". Unique. */
  path: string;
  depth: number;
  /** The key or index before the value, as it is to be shown; undefined for the root. */
  label: string | undefined;
  /** "range" is a piece of a long array or object. */
  kind: JsonNode["kind"] | "range";
  /** The value of a scalar, or what is inside: the count of children. */
  value: string;
  count: number;
  open: boolean;
  /** The row of its parent, -1 for the root. */
  parent: number;
}

export const CHUNK = 100; // children shown at once; more are in ranges that open by themselves

type Child = { label: string; path: string; node: JsonNode };

function children(node: JsonNode, path: string): Child[] {
  if (node.kind === "array") return node.items.map((n, i) => ({ label: String(i), path: `${path}[${i}]`, node: n }));
  if (node.kind !== "object") return [];
  const seen = new Map<string, number>();
  return node.members.map(({ key, node: n }) => {
    const twice = seen.get(key) ?? 0;
    seen.set(key, twice + 1);
    const step = /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
    return { label: key, path: `${path}${step}${twice ? `#${twice + 1}` : ""}`, node: n };
  });
}

/** The rows of a tree that are to be shown, given which paths are open. Only what is open is walked. */
export function flatten(root: JsonNode, open: ReadonlySet<string>): TreeRow[] {
  const rows: TreeRow[] = [];
  function add(node: JsonNode, path: string, label: string | undefined, depth: number, parent: number): void {
    const inner = node.kind === "object" ? node.members.length : node.kind === "array" ? node.items.length : 0;
    const scalar = node.kind !== "object" && node.kind !== "array";
    const isOpen = inner > 0 && open.has(path);
    const me = rows.push({ path, depth, label, kind: node.kind, value: scalar ? node.value : "", count: inner, open: isOpen, parent }) - 1;
    if (!isOpen) return;
    const all = children(node, path);
    if (all.length <= CHUNK) {
      for (const c of all) add(c.node, c.path, c.label, depth + 1, me);
      return;
    }
    for (let i = 0; i < all.length; i += CHUNK) {
      const part = all.slice(i, i + CHUNK);
      const range = `${path}[${i}…${i + part.length - 1}]`;
      const rangeOpen = open.has(range);
      const at = rows.push({ path: range, depth: depth + 1, label: `${i} … ${i + part.length - 1}`, kind: "range", value: "", count: part.length, open: rangeOpen, parent: me }) - 1;
      if (rangeOpen) for (const c of part) add(c.node, c.path, c.label, depth + 2, at);
    }
  }
  add(root, "$", undefined, 0, -1);
  return rows;
}

/** The paths to open so that at most `limit` rows are shown, the upper levels first. */
export function openUpTo(root: JsonNode, limit: number): Set<string> {
  const open = new Set<string>();
  let level: { node: JsonNode; path: string }[] = [{ node: root, path: "$" }];
  let rows = 1;
  while (level.length > 0) {
    const next: typeof level = [];
    for (const { node, path } of level) {
      const inner = node.kind === "object" ? node.members.length : node.kind === "array" ? node.items.length : 0;
      if (inner === 0) continue;
      const shown = inner > CHUNK ? Math.ceil(inner / CHUNK) : inner;
      if (rows + shown > limit) return open;
      rows += shown;
      open.add(path);
      if (inner <= CHUNK) next.push(...children(node, path));
    }
    level = next;
  }
  return open;
}
