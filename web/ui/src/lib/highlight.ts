// Splits a text into coloured pieces: pure, for a few languages, never over a text too long to colour.
export interface Token {
  kind?: "key" | "string" | "number" | "word" | "faint";
  text: string;
}

const MAX = 40_000; // above it colouring costs more than it helps
const JSON_TOKEN = /("(?:[^"\\\n]|\\.)*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|\b(true|false|null)\b/g;
const SHELL_TOKEN = /('(?:[^']|'\\'')*'|"(?:[^"\\]|\\.)*")|(^|\s)(-{1,2}[A-Za-z][\w-]*)|(\\\n)/g;
const HTTP_TOKEN = /^([A-Za-z0-9-]+)(:)/gm;

export function tokens(text: string, language: "json" | "shell" | "http" | "text"): Token[] {
  if (language === "text" || text.length > MAX) return [{ text }];
  const pattern = language === "json" ? JSON_TOKEN : language === "shell" ? SHELL_TOKEN : HTTP_TOKEN;
  const out: Token[] = [];
  let at = 0;
  const push = (end: number, kind: Token["kind"]): void => {
    if (end > at) out.push(kind ? { kind, text: text.slice(at, end) } : { text: text.slice(at, end) });
    at = Math.max(at, end);
  };
  for (const m of text.matchAll(pattern)) {
    const start = m.index;
    if (language === "json") {
      push(start, undefined);
      if (m[1] !== undefined) push(start + m[1].length, m[2] === undefined ? "string" : "key");
      else push(start + m[0].length, m[3] === undefined ? "word" : "number");
    } else if (language === "shell") {
      push(start + (m[2]?.length ?? 0), undefined);
      push(start + m[0].length, m[1] !== undefined ? "string" : m[4] !== undefined ? "faint" : "key");
    } else {
      push(start, undefined);
      push(start + (m[1]?.length ?? 0), "key");
    }
  }
  push(text.length, undefined);
  return out;
}
