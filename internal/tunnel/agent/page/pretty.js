// How bodies are shown. Everything here turns text or bytes into lists of [class, text] or into plain text; nothing makes HTML.

/** The most characters that are made pretty; longer texts are shown as they are. */
export const longest = 512 * 1024;

/** Reads base64 into bytes. */
export function bytesOf(base64) {
  return Uint8Array.from(atob(base64 ?? ""), (c) => c.charCodeAt(0));
}

/** Writes bytes as base64. */
export function base64Of(bytes) {
  let s = "";
  for (let i = 0; i < bytes.length; i += 0x8000) s += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(s);
}

/** The text of bytes, or null when they are not UTF-8 or hold control characters that texts do not. `cut` allows half a character at the end. */
export function textOf(bytes, cut = false) {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes, { stream: cut });
  } catch {
    return null;
  }
  // eslint-disable-next-line no-control-regex
  return /[\x00-\x08\x0e-\x1a\x1c-\x1f]/.test(text) ? null : text;
}

/** What a body is, by its type and, without one, by how it begins: json, xml, form or text. */
export function kindOf(type, text) {
  const t = (type ?? "").toLowerCase().split(";")[0].trim();
  if (/^application\/x-www-form-urlencoded$/.test(t)) return "form";
  if (/[/+]json$/.test(t) || /json-seq|ndjson/.test(t)) return "json";
  if (/[/+](xml|html)$/.test(t)) return t.endsWith("html") ? "text" : "xml";
  const head = text.trimStart();
  if (/^[[{]/.test(head)) return "json";
  if (/^<\?xml/.test(head)) return "xml";
  return "text";
}

/** The fields of an urlencoded form or a query, as [name, value]; null when an escape is broken. */
export function formOf(text) {
  try {
    return text.split("&").filter(Boolean).map((part) => {
      const [name, ...rest] = part.split("=");
      return [name, rest.join("=")].map((s) => decodeURIComponent(s.replaceAll("+", " ")));
    });
  } catch {
    return null;
  }
}

/** Where in a text a position is, counted from 1. */
function place(text, at) {
  const before = text.slice(0, at).split("\n");
  return { at, line: before.length, column: before.at(-1).length + 1 };
}

/**
 * JSON with line breaks and indents: {parts, error}. Numbers and strings stay as they were written. Where it is not JSON, error says
 * what and where, and the rest follows as it is, with the fault marked.
 */
export function prettyJSON(text) {
  const parts = [];
  let at = 0;
  const put = (kind, s) => parts.push([kind, s]);
  const fail = (message) => {
    throw { message, at };
  };
  const space = () => {
    while (at < text.length && " \t\r\n".includes(text[at])) at++;
  };
  const take = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  const string = (kind) => {
    if (text[at] !== '"') fail("a string in double quotes should be here");
    const start = at;
    const s = take(/"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y);
    if (s === undefined) {
      take(/"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y);
      put(kind, text.slice(start, at));
      fail(at >= text.length ? "the string does not end" : "a character that a string may not have like this");
    }
    put(kind, s);
  };
  const list = (depth, close, item) => {
    if (depth > 200) fail("too many levels to show");
    const indent = "\n" + "  ".repeat(depth);
    put("p", text[at++]);
    space();
    if (text[at] === close) return put("p", text[at++]);
    for (;;) {
      put("", indent + "  ");
      item(depth + 1);
      space();
      if (text[at] === close) break;
      if (text[at] !== ",") fail(at >= text.length ? `the end, but ${close} is missing` : `, or ${close} should be here`);
      put("p", text[at++]);
      space();
    }
    put("", indent);
    put("p", text[at++]);
  };
  const value = (depth) => {
    space();
    const c = text[at];
    if (c === "{") {
      return list(depth, "}", (d) => {
        string("n");
        space();
        if (text[at] !== ":") fail(": should be here");
        at++;
        put("p", ": ");
        value(d);
      });
    }
    if (c === "[") return list(depth, "]", value);
    if (c === '"') return string("q");
    const word = take(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null/y);
    if (word === undefined) fail(at >= text.length ? "the end, but a value is missing" : "a value should be here");
    put("v", word);
  };
  try {
    value(0);
    for (space(); at < text.length; space()) { // values one after another: JSON lines
      put("", "\n");
      value(0);
    }
    return { parts, error: null };
  } catch (fault) {
    if (fault.at === undefined) throw fault;
    return { parts: rest(parts, text, fault.at), error: { message: fault.message, ...place(text, fault.at) } };
  }
}

/** Adds what follows a fault, with its first character marked. */
function rest(parts, text, at) {
  const first = String.fromCodePoint(text.codePointAt(at) ?? 0x2400);
  parts.push(["mark", at < text.length ? (first.trim() ? first : "␣") : "␄"]);
  if (at < text.length) parts.push(["", text.slice(at + first.length)]);
  return parts;
}

const tagPattern = /<([^\s<>/!?="'&]+)((?:\s+[^\s<>/="'&]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>/y;
const skipped = [[/<!--[\s\S]*?-->/y, "z"], [/<\?[\s\S]*?\?>/y, "z"], [/<!\[CDATA\[[\s\S]*?\]\]>/y, "q"], [/<!DOCTYPE(?:[^[>]|\[[^\]]*\])*>/y, "z"]];

/** XML with line breaks and indents, as prettyJSON. Entities stay as they are written: nothing is expanded. */
export function prettyXML(text) {
  const parts = [];
  const open = [];
  let at = 0;
  let fault = null;
  let inline = false; // after text: the next tag follows on the line
  const take = (pattern) => {
    pattern.lastIndex = at;
    const m = pattern.exec(text);
    if (m) at += m[0].length;
    return m;
  };
  const line = () => {
    if (parts.length && !inline) parts.push(["", "\n" + "  ".repeat(open.length)]);
    inline = false;
  };
  scan: while (at < text.length) {
    for (const [pattern, kind] of skipped) {
      const m = take(pattern);
      if (m) {
        if (kind === "z") line();
        parts.push([kind, m[0]]);
        inline = kind === "q";
        continue scan;
      }
    }
    const end = take(/<\/([^\s<>/]+)\s*>/y);
    if (end) {
      if (open.at(-1)?.name !== end[1]) {
        at -= end[0].length;
        fault = open.length ? `</${open.at(-1).name}> should end here, not this` : "this ends what did not begin";
        break;
      }
      const empty = open.at(-1).parts === parts.length;
      open.pop();
      if (!empty) line();
      parts.push(["n", end[0]]);
      inline = false;
      continue;
    }
    const begin = take(tagPattern);
    if (begin) {
      if (open.length > 200) {
        fault = "too many levels to show";
        break;
      }
      line();
      parts.push(["n", "<" + begin[1]]);
      for (const [, name, value] of begin[2].matchAll(/\s+([^\s=]+)\s*=\s*("[^"]*"|'[^']*')/g)) parts.push(["v", " " + name + "="], ["q", value]);
      parts.push(["n", begin[3] + ">"]);
      if (!begin[3]) open.push({ name: begin[1], parts: parts.length });
      continue;
    }
    const chars = take(/[^<]+/y);
    if (!chars) {
      fault = "a tag that is not well-formed";
      break;
    }
    const bad = /&(?!(?:[\w.:-]+|#\d+|#x[0-9a-fA-F]+);)/.exec(chars[0]);
    if (bad) {
      at += bad.index - chars[0].length;
      parts.push(["", chars[0].slice(0, bad.index)]);
      fault = "& must be written &amp;";
      break;
    }
    if (chars[0].trim()) {
      if (!open.length) {
        at -= chars[0].trimStart().length;
        fault = "text outside of the root element";
        break;
      }
      parts.push(["", chars[0].trim()]);
      inline = true;
    }
  }
  if (!fault && open.length) fault = `the end, but </${open.at(-1).name}> is missing`;
  if (!fault) return { parts, error: null };
  return { parts: rest(parts, text, at), error: { message: fault, ...place(text, at) } };
}

/** Bytes as a hex dump of 16 a line. */
export function hexOf(bytes, most = 16 * 1024) {
  const lines = [];
  for (let i = 0; i < Math.min(bytes.length, most); i += 16) {
    const row = [...bytes.subarray(i, Math.min(i + 16, most))];
    const hex = row.map((b) => b.toString(16).padStart(2, "0"));
    const text = row.map((b) => (b > 31 && b < 127 ? String.fromCharCode(b) : "·")).join("");
    lines.push(`${i.toString(16).padStart(6, "0")}  ${hex.slice(0, 8).join(" ").padEnd(23)}  ${hex.slice(8).join(" ").padEnd(23)}  ${text}`);
  }
  if (bytes.length > most) lines.push(`… ${bytes.length - most} bytes more`);
  return lines.join("\n");
}

const quote = (s) => "'" + s.replaceAll("'", "'\\''") + "'";

/** A command that sends a request again: to the target's origin, with these headers ([{name, value}]) and bytes. */
export function curlOf({ method, path, headers, body }, origin) {
  const words = ["curl", "--globoff", "--path-as-is", "--request", quote(method)];
  if (method === "HEAD") words.splice(3, 2, "--head");
  const has = (name) => headers.some((h) => h.name.toLowerCase() === name);
  for (const { name, value } of headers) {
    if (/^(content-length|transfer-encoding)$/i.test(name)) continue;
    words.push("--header", quote(value === "" ? `${name};` : `${name}: ${value}`));
  }
  // What curl would add by itself.
  for (const name of ["User-Agent", "Accept", ...(body.length ? ["Content-Type"] : [])]) if (!has(name.toLowerCase())) words.push("--header", quote(`${name}:`));
  let before = "";
  if (body.length) {
    const text = textOf(body);
    if (text !== null && text.length < 100_000 && !text.startsWith("@")) {
      words.push("--data-binary", quote(text));
    } else {
      before = `printf %s ${quote(base64Of(body))} | base64 --decode | `;
      words.push("--data-binary", "@-");
    }
  }
  words.push(quote(origin + path));
  return before + words.join(" ");
}
