// A line of the events list, made from the exact text of the answer: numbers keep their digits, and no more of an event is kept than is shown.
import { parse, type JsonNode } from "$lib/json";

export interface Row {
  id: string;
  version: number;
  type: string;
  subject: string;
  time: string;
  /** The beginning of the data on one line. */
  summary: string;
  /** Bytes of the data. */
  size: number;
  /** The media type of data that is no JSON. */
  media: string;
  /** When it came to this page, ms since 1970: 0 for what was there before. */
  seen: number;
}

const SHOWN = 240;
const bytes = new TextEncoder();

function text(node: JsonNode | undefined): string {
  return node?.kind === "string" || node?.kind === "number" ? node.value : "";
}

function rowOf(source: string, node: JsonNode): Row | undefined {
  if (node.kind !== "object") return undefined;
  const get = (key: string): JsonNode | undefined => node.members.find((m) => m.key === key)?.node;
  const data = get("data");
  const packed = get("data_base64");
  const raw = data ? source.slice(data.start, data.end) : "";
  const packedText = text(packed);
  return {
    id: text(get("id")),
    version: Number(text(get("version"))),
    type: text(get("type")),
    subject: text(get("subject")),
    time: text(get("time")),
    summary: data ? (data.kind === "string" ? data.value : raw).slice(0, SHOWN).replace(/\s+/g, " ") : "",
    size: packed ? base64Size(packedText) : bytes.encode(raw).length,
    media: packed ? text(get("datacontenttype")) || "application/octet-stream" : "",
    seen: 0,
  };
}

function base64Size(packed: string): number {
  return Math.floor((packed.replace(/=+$/, "").length * 3) / 4);
}

/** The events of a list's answer, {"data":[…]}. */
export function rowsOf(answer: string): Row[] {
  const root = parse(answer);
  const data = root.kind === "object" ? root.members.find((m) => m.key === "data" || m.key === "changes")?.node : undefined;
  if (data?.kind !== "array") return [];
  return data.items.map((node) => rowOf(answer, node)).filter((row) => row !== undefined);
}

/** One event's text: a message of the stream, or the answer to GET. */
export function oneRow(answer: string): Row | undefined {
  return rowOf(answer, parse(answer));
}

/** A long id's beginning and end: what tells one UUIDv7 from the next is its end. */
export function shortId(id: string): string {
  return id.length <= 18 ? id : `${id.slice(0, 6)}…${id.slice(-8)}`;
}
