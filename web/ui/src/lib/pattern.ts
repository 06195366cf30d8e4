// Patterns of event types. Pure.

/** Whether a pattern takes a type: * is one segment, ** any number of further ones. */
export function takes(pattern: string, type: string): boolean {
  if (pattern === "*" || pattern === type) return true;
  const p = pattern.split(".");
  const t = type.split(".");
  for (const [i, segment] of p.entries()) {
    if (segment === "**") return true;
    if (t[i] === undefined || (segment !== "*" && segment !== t[i])) return false;
  }
  return p.length === t.length;
}
