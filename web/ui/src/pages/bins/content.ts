// What a request's body is, and how it can be shown: pure. Strangers wrote it: it is only ever text.
import type { BinRequest } from "$api";
import { sizeOf, textOf, unpack } from "$lib/bytes";

export interface Content {
  bytes: Uint8Array;
  /** The text, where the bytes are one. */
  text: string | undefined;
  size: number;
  media: string;
  json: boolean;
}

/** The first value of a header; names in any case. */
export function header(pairs: readonly { name: string; value: string }[], name: string): string | undefined {
  return pairs.find((p) => p.name.toLowerCase() === name)?.value;
}

export function contentOf(of: { body?: string | undefined; body_base64?: string | undefined }, media: string): Content {
  const bytes = of.body_base64 !== undefined ? unpack(of.body_base64) : new TextEncoder().encode(of.body ?? "");
  const text = of.body ?? textOf(bytes) ?? spoken(bytes, media);
  const size = of.body_base64 !== undefined ? bytes.length : sizeOf(of.body ?? "");
  return { bytes, text, size, media, json: text !== undefined && isJson(text) };
}

/** The text of bytes in the charset that their media type names, such as windows-1250; undefined where it names none, or they are not in it. */
function spoken(bytes: Uint8Array, media: string): string | undefined {
  const charset = /;\s*charset\s*=\s*"?([\w.:-]+)/i.exec(media)?.[1];
  if (charset === undefined || /^utf-?8$/i.test(charset)) return undefined;
  try {
    return new TextDecoder(charset, { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

const MOST = 1 << 20; // a larger body is shown as it is: a tree of it would take long

function isJson(text: string): boolean {
  if (text.length > MOST || !/^\s*[[{"\-\dtfn]/.test(text)) return false;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null;
  } catch {
    return false;
  }
}

/** Headers that a sender's program sets anew for each request. */
const own = new Set(["host", "content-length", "connection", "accept-encoding", "transfer-encoding", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "expect", "te", "upgrade"]);

/** The headers to send again. */
export function sendable(r: BinRequest): [name: string, value: string][] {
  return (r.headers ?? []).filter((h) => !own.has(h.name.toLowerCase())).map((h) => [h.name, h.value]);
}

/** A form's header line says its boundary; what else is written of a content type is its own. */
export function mediaOf(r: BinRequest): string {
  return header(r.headers ?? [], "content-type") ?? "";
}

/** What a body is, in a word that fits into a list: json, xml, form, multipart, text, binary; empty without a body. */
export function kindOf(r: BinRequest): string {
  const media = mediaOf(r).split(";")[0]?.trim().toLowerCase() ?? "";
  if (r.size === 0 || media === "") return "";
  if (media === "application/x-www-form-urlencoded") return "form";
  if (media === "application/octet-stream") return "binary";
  const [type = "", sub = ""] = media.split("/");
  if (type === "multipart") return type;
  if (sub === "json" || sub.endsWith("+json")) return "json";
  if (sub === "xml" || sub.endsWith("+xml")) return "xml";
  return sub === "plain" ? "text" : sub;
}
