// Which route an address means: pure, so that it is tested without a browser.
export interface Matched<R> {
  route: R;
  params: Record<string, string>;
}

interface Compiled<R> {
  route: R;
  parts: string[];
}

/** Compiles patterns such as "/t/:tenant/events/:id". Literal parts win over parameters. */
export function compile<R extends { path: string }>(routes: readonly R[]): (path: string) => Matched<R> | undefined {
  const table: Compiled<R>[] = routes.map((route) => ({ route, parts: split(route.path) }));
  table.sort((a, b) => rank(b.parts).localeCompare(rank(a.parts)));
  return (path) => {
    const parts = split(path);
    for (const { route, parts: pattern } of table) {
      const params = pattern.length === parts.length ? capture(pattern, parts) : undefined;
      if (params) return { route, params };
    }
    return undefined;
  };
}

function split(path: string): string[] {
  return path.split("/").filter((p) => p !== "");
}

function rank(parts: string[]): string {
  return parts.map((p) => (p.startsWith(":") ? "0" : "1")).join("");
}

function capture(pattern: string[], parts: string[]): Record<string, string> | undefined {
  const params: Record<string, string> = {};
  for (const [i, p] of pattern.entries()) {
    const part = parts[i] ?? "";
    if (!p.startsWith(":")) {
      if (p !== part) return undefined;
      continue;
    }
    try {
      params[p.slice(1)] = decodeURIComponent(part);
    } catch {
      return undefined; // a bad escape is no page
    }
  }
  return params;
}

/** Puts parameters into a pattern: build("/t/:tenant/events/:id", {tenant, id}), each encoded. */
export function build(pattern: string, params: Record<string, string> = {}): string {
  return pattern.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ""));
}

/** A return path that is safe to go to after logging in: only this app's own pages. */
export function safeReturn(path: string | null | undefined, base = "/ui/"): string {
  if (!path?.startsWith(base) || path.includes("\\") || path.startsWith("//")) return base;
  if ([...path].some((c) => c.charCodeAt(0) < 32)) return base;
  const url = new URL(path, "http://posthorn.invalid");
  return url.host === "posthorn.invalid" && url.pathname.startsWith(base) ? url.pathname + url.search + url.hash : base;
}

export type QueryValue = string | number | boolean | string[];

/** Reads a value of the address's query in the type of its default; what cannot be read is the default. */
export function readQuery<T extends QueryValue>(search: URLSearchParams, name: string, fallback: T): T {
  const text = search.get(name);
  if (text === null) return fallback;
  if (typeof fallback === "number") {
    const n = Number(text);
    return (Number.isFinite(n) && text !== "" ? n : fallback) as T;
  }
  if (typeof fallback === "boolean") return (text === "1" || text === "true") as T;
  if (Array.isArray(fallback)) return (text === "" ? [] : text.split(",").map(decodeComma)) as T;
  return text as T;
}

/** Writes a value into a query; the default leaves no trace, so that addresses stay short. */
export function writeQuery(search: URLSearchParams, name: string, value: QueryValue, fallback: QueryValue): void {
  const text = queryText(value);
  if (text === queryText(fallback)) search.delete(name);
  else search.set(name, text);
}

function queryText(value: QueryValue): string {
  if (Array.isArray(value)) return value.map((v) => v.replaceAll("%", "%25").replaceAll(",", "%2C")).join(",");
  return typeof value === "boolean" ? (value ? "1" : "0") : String(value);
}

function decodeComma(text: string): string {
  return text.replaceAll("%2C", ",").replaceAll("%25", "%");
}
