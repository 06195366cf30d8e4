// Server-sent events from text, as the HTML standard parses them (section 9.2.6).
export interface Message {
  /** The event's name; "message" when the stream gives none. */
  event: string;
  data: string;
  /** The last id that was seen on this stream, also by earlier messages. */
  id: string;
}

const LIMIT = 24 << 20; // characters; of a longer message only the place is taken: a captured request may be as large as the server lets it

/** The event of a message that was too long to be taken. */
export const TOO_LONG = "posthorn.too-long";

export class SSEParser {
  /** The reconnection time the stream asked for, in ms. */
  retry: number | undefined;
  lastId = "";
  #buffer = "";
  #looked = 0; // up to where the buffer holds no end of a line
  #skipping = false; // the rest of a line that is too long
  #dropped = false;
  #data: string[] = [];
  #event = "";
  #id: string | undefined;
  #first = true;

  /** Takes the next piece of text and gives the messages that it completed. */
  feed(text: string): Message[] {
    const out: Message[] = [];
    if (this.#first && text.length > 0) {
      this.#first = false;
      if (text.charCodeAt(0) === 0xfeff) text = text.slice(1);
    }
    this.#buffer += text;
    let start = 0;
    for (;;) {
      const end = this.#lineEnd(Math.max(start, this.#looked));
      if (!end) break;
      if (this.#skipping) this.#skipping = false;
      else this.#line(this.#buffer.slice(start, end[0]), out);
      start = end[1];
    }
    this.#buffer = this.#buffer.slice(start);
    if (this.#buffer.length > LIMIT || this.#skipping) {
      this.#skipping = this.#dropped = true;
      this.#buffer = this.#buffer.endsWith("\r") ? "\r" : "";
    }
    this.#looked = this.#buffer.endsWith("\r") ? this.#buffer.length - 1 : this.#buffer.length;
    return out;
  }

  /** Where the line from start ends and the next begins. A CR at the very end waits: an LF may follow. */
  #lineEnd(start: number): [number, number] | undefined {
    for (let i = start; i < this.#buffer.length; i++) {
      const c = this.#buffer.charCodeAt(i);
      if (c === 10) return [i, i + 1];
      if (c !== 13) continue;
      if (i + 1 === this.#buffer.length) return undefined;
      return [i, this.#buffer.charCodeAt(i + 1) === 10 ? i + 2 : i + 1];
    }
    return undefined;
  }

  #line(line: string, out: Message[]): void {
    if (line === "") {
      if (this.#id !== undefined) this.lastId = this.#id;
      if (this.#dropped) out.push({ event: TOO_LONG, data: "", id: this.lastId });
      else if (this.#data.length > 0) out.push({ event: this.#event || "message", data: this.#data.join("\n"), id: this.lastId });
      this.#data = [];
      this.#dropped = false;
      this.#event = "";
      return;
    }
    if (line.startsWith(":")) return;
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#event = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
  }
}

/** The wait before the n-th reconnection (from 0), in ms: doubled from 0.5 s to 30 s, with jitter of half. */
export function backoff(n: number, random: () => number = Math.random): number {
  const full = Math.min(30_000, 500 * 2 ** Math.min(n, 10));
  return full / 2 + (random() * full) / 2;
}
