import { Access } from "./access.js";
import { PosthornError } from "./errors.js";
import { HTTP, piecesOf } from "./http.js";
import { Socket } from "./socket.js";
import { linked } from "./time.js";
import { Known } from "./ways.js";

/**
 * @typedef {import("../posthorn.d.ts").PosthornOptions} PosthornOptions
 * @typedef {import("../posthorn.d.ts").Transport} Transport
 * @typedef {import("../posthorn.d.ts").StateChange} StateChange
 * @typedef {import("./subscription.js").Subscription} Subscription
 */

/** @type {readonly Transport[]} */
const all = ["websocket", "sse", "poll"];

/** What the subscriptions of a client share: the way to the server and what is known of it. */
export class Link {
  /** @type {Set<Subscription>} */ subscriptions = new Set();
  /** @type {Transport | undefined} The one that opened last. */ transport;
  /** @type {number | undefined} In seconds, when something in between ends polls that wait longer. */ longestWait;

  #options;
  #end = new AbortController();

  /**
   * @param {PosthornOptions} options
   * @param {(change: StateChange) => void} tell
   */
  constructor(options, tell) {
    this.#options = options;
    this.tell = tell;
    this.access = new Access(options);
    this.http = new HTTP(options, this.access);
    this.socket = new Socket(this);
    this.known = new Known(options.retryBetterAfter ?? 60_000);
    this.keepAlive = options.keepAlive ?? 15_000;
    this.connectTimeout = options.connectTimeout ?? 10_000;
    this.backoff = { min: options.backoff?.min ?? 500, max: options.backoff?.max ?? 30_000 };
    this.waysOf(options.transports); // throws when it names another
  }

  /** Is aborted when the client is closed. */
  get signal() {
    return this.#end.signal;
  }

  /** The transports that can be used, of those that are wanted. @param {readonly Transport[]} [wanted] */
  waysOf(wanted = this.#options.transports ?? all) {
    for (const way of wanted) {
      if (!all.includes(way)) throw new RangeError(`there is no transport ${way}`);
    }
    const ways = all.filter((way) => wanted.includes(way) && (way !== "websocket" || this.#hasSockets()));
    if (ways.length === 0) throw new RangeError("none of the transports can be used here");
    return ways;
  }

  /** A browser's WebSocket cannot send an API key, and tokens only are taken in an address. */
  #hasSockets() {
    if (this.#options.openSocket) return true;
    return typeof globalThis.WebSocket === "function" && (sendsHeaders() || !this.access.isKey);
  }

  /**
   * @param {URL} url
   * @param {string[]} protocols
   * @param {string | undefined} credential
   * @returns {WebSocket}
   */
  openSocket(url, protocols, credential) {
    this.signal.throwIfAborted();
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    /** @type {Record<string, string>} */
    const headers = credential === undefined ? {} : { Authorization: `Bearer ${credential}` };
    if (this.#options.openSocket) return this.#options.openSocket(url.href, protocols, headers);
    if (sendsHeaders()) return new WebSocket(url.href, /** @type {any} */ ({ protocols, headers }));
    if (credential !== undefined) url.searchParams.set("access_token", credential);
    return new WebSocket(url.href, protocols);
  }

  /** Whether a transport that failed works again. @param {Transport} way */
  async works(way) {
    try {
      if (way === "websocket") await this.socket.connect();
      else if (way === "sse") await this.#streamWorks();
      this.known.allow(way);
      return true;
    } catch {
      this.known.block(way, Date.now());
      return false;
    }
  }

  /** Opens a stream and waits for its first bytes, which something in between may hold back. */
  async #streamWorks() {
    const own = linked(this.signal);
    const late = setTimeout(() => own.controller.abort(new PosthornError("the stream is silent", { code: "timeout" })), this.connectTimeout);
    try {
      const response = await this.http.open("/stream", { query: { event: "none" }, headers: { Accept: "text/event-stream" }, cache: "no-store", signal: own.signal });
      for await (const _ of piecesOf(response, own.signal)) return;
      throw new PosthornError("the server ended the stream");
    } finally {
      clearTimeout(late);
      own.controller.abort();
      own.cut();
    }
  }

  /**
   * A call that is made once more when a token was refused and can be made anew.
   *
   * @param {string} path
   * @param {import("./http.js").Request} request
   */
  async request(path, request) {
    const own = linked(this.signal, request.signal);
    try {
      return await this.http.call(path, { ...request, signal: own.signal });
    } catch (error) {
      if (!(error instanceof PosthornError) || error.status !== 401 || !this.access.renewable) throw error;
      return await this.http.call(path, { ...request, signal: own.signal });
    } finally {
      own.cut();
    }
  }

  /** @param {Transport} way */
  opened(way) {
    this.transport = way;
  }

  /** @param {Subscription} sub */
  ended(sub) {
    this.subscriptions.delete(sub);
  }

  close() {
    if (this.signal.aborted) return;
    this.#end.abort(new PosthornError("the client was closed", { code: "closed" }));
    for (const sub of [...this.subscriptions]) sub.close();
    this.socket.close();
  }
}

/** Whether WebSockets take headers, as they do outside browsers. */
function sendsHeaders() {
  return typeof (/** @type {any} */ (globalThis).process?.versions?.node) === "string";
}
