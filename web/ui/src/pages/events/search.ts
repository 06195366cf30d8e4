// What is typed into the search box, understood: pure.
export interface Search {
  types: string[];
  subjects: string[];
  /** One event by its id, or by its version. */
  id: string;
  version: number;
  /** What is left: looked for in id, type, subject and key. */
  text: string;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** "type:order.* subject:order/42* 01a2…" in its parts. */
export function understand(q: string): Search {
  const out: Search = { types: [], subjects: [], id: "", version: 0, text: "" };
  const rest: string[] = [];
  for (const word of q.trim().split(/\s+/)) {
    const [, name, value] = /^(types?|subject|id|version):(.+)$/i.exec(word) ?? [];
    const key = name?.toLowerCase();
    if (key !== undefined && value !== undefined) {
      if (key === "id") out.id = value;
      else if (key === "version") out.version = Number(value) || 0;
      else if (key === "subject") out.subjects.push(...value.split(",").filter(Boolean));
      else out.types.push(...value.split(",").filter(Boolean));
    } else if (/^#\d{1,15}$/.test(word)) out.version = Number(word.slice(1));
    else if (word) rest.push(word);
  }
  const text = rest.join(" ");
  if (UUID.test(text)) out.id = text;
  else out.text = text;
  return out;
}

/** Whether a text could be the id of an event, so that asking for it is worth a request. */
export function couldBeId(text: string): boolean {
  return text.length >= 3 && text.length <= 256 && !/[\s/*]/.test(text);
}

/**
 * A CEL expression that is true for events that hold the text, and for which the person's own filter is true too. The filter
 * stands on lines of its own, so that faultIn can tell where it is wrong.
 */
export function celOf(text: string, filter: string): string {
  if (!text) return filter;
  const quoted = JSON.stringify(text);
  const holds = ["id", "type", "subject", "key"].map((name) => `${name}.contains(${quoted})`).join(" || ");
  return filter ? `(\n${filter}\n) && (${holds})` : holds;
}

/** The server's message about celOf(text, filter), with the lines of the filter itself, and without the parser's list of all that could stand there. */
export function faultIn(message: string, text: string): string {
  const short = message.replace(/ expecting \{'.{40,}\}(?=\s|$)/gs, "");
  return text ? short.replace(/\bline (\d+)/g, (_, line: string) => `line ${Math.max(1, Number(line) - 1)}`) : short;
}

/** Whether the message says that the filter ends where something more is needed: alone, or before what celOf puts behind it. */
export function endsEarly(message: string, text: string, filter: string): boolean {
  if (!text) return message.includes("'<EOF>'");
  const line = Number(/\bline (\d+)/.exec(message)?.[1] ?? 0);
  return line > filter.split("\n").length + 1 && message.includes("')'");
}

/** The time that a preset such as "15m" means, ms since 1970. */
export function presetSince(preset: string, now: number): number | undefined {
  const ms = { "15m": 900_000, "1h": 3_600_000, "24h": 86_400_000, "7d": 604_800_000 }[preset];
  return ms === undefined ? undefined : now - ms;
}
