import { PosthornError } from "./errors.js";
import { piecesOf } from "./http.js";
import { linked } from "./time.js";

/** The most text of one event that is put together, in characters; the server's own limit for events is far below. */
const maxBlock = 16 << 20;

/** Reads server-sent events from text that arrives in pieces (the HTML standard, section 9.2.6). */
export class EventParser {
  #rest = "";
  #data = "";
  #hasData = false;
  /** @type {string | undefined} */ #id;
  #first = true;

  /**
   * Takes a piece and yields the blocks that it completes. A block without data only has an id.
   *
   * @param {string} text
   * @returns {Generator<{ id: string | undefined, data: string | undefined }>}
   */
  *push(text) {
    if (this.#first && text) {
      this.#first = false;
      if (text.startsWith("\uFEFF")) text = text.slice(1);
    }
    text = this.#rest + text;
    let from = 0;
    const ends = /[\r\n]/g;
    for (;;) {
      ends.lastIndex = from;
      const end = ends.exec(text)?.index ?? -1;
      // A carriage return at the very end may be half of a line's end.
      if (end < 0 || (text[end] === "\r" && end === text.length - 1)) break;
      const block = this.#line(text.slice(from, end));
      from = end + (text.startsWith("\r\n", end) ? 2 : 1);
      if (block) yield block;
    }
    this.#rest = text.slice(from);
    if (this.#rest.length + this.#data.length > maxBlock) throw new PosthornError("an event is too large");
  }

  /** @param {string} line */
  #line(line) {
    if (line === "") {
      const block = { id: this.#id, data: this.#hasData ? this.#data : undefined };
      this.#data = "";
      this.#hasData = false;
      this.#id = undefined;
      return block.id === undefined && block.data === undefined ? undefined : block;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return undefined; // a comment
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "data") {
      this.#data += this.#hasData ? `\n${value}` : value;
      this.#hasData = true;
    } else if (name === "id" && !value.includes("\0")) {
      this.#id = value;
    }
    return undefined;
  }
}

/**
 * Follows the stream of server-sent events. It is read with fetch, which can send headers and shows what the server answers. It
 * throws when the stream ends, fails or falls silent.
 *
 * @param {import("./link.js").Link} link
 * @param {import("./subscription.js").Subscription} sub
 * @param {AbortSignal} signal
 */
export async function stream(link, sub, signal) {
  const own = linked(signal);
  const silent = () => own.controller.abort(new PosthornError("the stream is silent", { code: "timeout" }));
  let timer = setTimeout(silent, link.connectTimeout);
  try {
    const response = await link.http.open("/stream", {
      query: { ...sub.query, start: sub.start, event: "none" }, headers: { Accept: "text/event-stream" }, cache: "no-store", signal: own.signal,
    });
    if (!/^text\/event-stream\b/i.test(response.headers.get("Content-Type") ?? "") || !response.body) {
      throw new PosthornError("the answer is not a stream of events");
    }
    const text = new TextDecoder();
    const parser = new EventParser();
    for await (const piece of piecesOf(response, own.signal)) {
      clearTimeout(timer); // a slow consumer is no silence
      for (const block of parser.push(text.decode(piece, { stream: true }))) {
        if (block.data !== undefined) sub.take(JSON.parse(block.data));
        else sub.moved(Number(block.id) + 1);
        sub.opened("sse");
        await sub.room(own.signal);
      }
      own.signal.throwIfAborted();
      sub.opened("sse");
      timer = setTimeout(silent, 3 * link.keepAlive);
    }
    throw new PosthornError("the server ended the stream");
  } catch (cause) {
    own.signal.throwIfAborted();
    if (cause instanceof PosthornError) throw cause;
    throw new PosthornError("the stream broke off", { cause });
  } finally {
    clearTimeout(timer);
    own.controller.abort();
    own.cut();
  }
}
