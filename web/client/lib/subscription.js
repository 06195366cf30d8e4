import { PosthornError, asError } from "./errors.js";
import { poll } from "./poll.js";
import { stream } from "./stream.js";
import { linked, pause } from "./time.js";
import { Ways } from "./ways.js";

/**
 * @typedef {import("../posthorn.d.ts").PosthornEvent<any>} Event
 * @typedef {import("../posthorn.d.ts").Transport} Transport
 * @typedef {import("../posthorn.d.ts").State} State
 * @typedef {import("../posthorn.d.ts").SubscribeOptions} SubscribeOptions
 * @typedef {import("./link.js").Link} Link
 */

/** How often the same versions may be missing before the subscription ends. */
const maxGaps = 3;
/** How often in a row a new token may be refused. */
const maxRefused = 2;
/** The reason for leaving a transport for a better one. */
const better = Symbol("better");

/** Statuses that trying again does not change. */
const final = new Set([400, 403, 404, 410, 413, 422]);

/**
 * A place in the log that moves on. Connections come and go ({@link Ways}); each brings events through take and places through moved,
 * which let every version pass once. What was taken waits in a queue of at most two windows for the handler or the iterator.
 */
export class Subscription {
  /** @type {State} */ state = "connecting";
  /** @type {Transport | undefined} */ transport;
  /** @type {number | undefined} The last version handled. */ version;
  /** @type {((version: number) => void) | undefined} Set by the transport that wants to know what was handled. */ acknowledge;

  #link;
  #options;
  #ways;
  /** @type {number | undefined} The last version taken or known not to be selected. */ #cursor;
  /** @type {Event[]} */ #queue = [];
  #unacknowledged = 0;
  #iterated = false;
  #end = new AbortController();
  /** @type {Error | undefined} */ #error;
  #gap = { at: -1, times: 0 };
  #refused = 0;
  /** @type {Set<() => void>} Those who wait for an event, room or the end. */ #waiting = new Set();
  /** @type {() => void} */ #isReady = () => {};
  /** @type {(error: Error) => void} */ #isNotReady = () => {};

  /**
   * @param {Link} link
   * @param {SubscribeOptions} options
   * @param {((event: Event, subscription: Subscription) => unknown) | undefined} onEvent
   */
  constructor(link, options, onEvent) {
    checkOptions(options);
    this.#link = link;
    this.#options = options;
    this.window = options.window ?? 256;
    this.#cursor = options.start === undefined ? undefined : options.start - 1;
    this.#ways = new Ways(link.waysOf(options.transports), link.known, link.backoff);
    this.ready = new Promise((/** @type {(value?: undefined) => void} */ resolve, reject) => {
      this.#isReady = resolve;
      this.#isNotReady = reject;
    });
    this.ready.catch(() => {}); // it need not be awaited
    this.done = this.#run().then(() => {
      if (this.#error) throw this.#error;
    });
    // A reader is given the error, and onError is told it. A handler without one leaves it to done: whoever does not look there
    // either has an unhandled rejection.
    if (!onEvent || options.onError) this.done.catch(() => {});
    const outside = linked(options.signal);
    outside.signal.addEventListener("abort", () => this.close());
    this.signal.addEventListener("abort", outside.cut);
    if (outside.signal.aborted) this.close();
    if (onEvent) void this.#handle(onEvent);
  }

  /** Is aborted at the end. */
  get signal() {
    return this.#end.signal;
  }

  /** The first version that a connection is to bring; undefined: what comes. */
  get start() {
    return this.#cursor === undefined ? undefined : this.#cursor + 1;
  }

  /** What is selected, as the members of a WebSocket message. */
  get selection() {
    const { types, subjects, filter } = this.#options;
    return { types: types?.length ? types : undefined, subjects: subjects?.length ? subjects : undefined, filter: filter || undefined };
  }

  /** What is selected, as query parameters. */
  get query() {
    const { types, subjects, filter } = this.selection;
    return { types: types?.join(","), subject: subjects?.join(","), filter };
  }

  close() {
    this.#finish();
  }

  // What transports call.

  /**
   * A connection has opened.
   *
   * @param {Transport} way
   */
  opened(way) {
    if (this.state === "open" && this.transport === way) return;
    this.#refused = 0;
    this.#ways.opened(way, Date.now());
    this.#link.opened(way);
    this.#tell("open", way);
    if (this.#cursor !== undefined) this.#isReady();
  }

  /**
   * Takes an event, unless it was taken before.
   *
   * @param {Event} event
   */
  take(event) {
    const version = event?.version;
    if (!Number.isSafeInteger(version) || version < 1) throw new PosthornError("an event without a version arrived");
    if (this.#cursor !== undefined && version <= this.#cursor) return;
    if (this.signal.aborted) return;
    this.#mustFollow(version);
    this.#cursor = version;
    this.#queue.push(event);
    this.#isReady();
    this.#wake();
  }

  /**
   * Everything before next has been taken or is not selected.
   *
   * @param {number} next
   */
  moved(next) {
    if (!Number.isSafeInteger(next) || next < 1) return;
    if (this.#cursor === undefined) this.#cursor = next - 1;
    if (next - 1 > this.#cursor) {
      this.#mustFollow(next);
      this.#cursor = next - 1;
    }
    this.#isReady();
  }

  /** Waits until a window's worth or less is waiting to be handled, or the signal is aborted. @param {AbortSignal} [signal] */
  async room(signal) {
    while (this.#queue.length >= this.window && !this.signal.aborted && !signal?.aborted) await this.#change(signal);
  }

  /** Throws when versions are missing where none may be. @param {number} version */
  #mustFollow(version) {
    if (this.#cursor === undefined || version === this.#cursor + 1 || !this.#everything()) return;
    throw new PosthornError(`versions ${this.#cursor + 1} to ${version - 1} are missing`, { code: "gap" });
  }

  #everything() {
    const { types, subjects, filter } = this.selection;
    return !types && !subjects && !filter && this.#link.access.whole;
  }

  // The connections, one after the other.

  async #run() {
    await null; // so that the caller has the subscription before it hears of it
    while (!this.signal.aborted) {
      await this.room();
      if (this.signal.aborted) return;
      const way = this.#ways.choose(Date.now());
      this.#tell("connecting", way);
      const error = await this.#connect(way);
      if (this.signal.aborted) return;
      if (error === better) continue;
      const failure = asError(error ?? new PosthornError("the server ended the connection"));
      const wait = this.#judge(way, failure);
      if (wait === undefined) return this.#finish(failure);
      this.#tell("waiting", way, failure, wait);
      await pause(wait, this.signal);
    }
  }

  /** Uses one transport until it ends, and returns why. @param {Transport} way */
  async #connect(way) {
    const run = linked(this.signal);
    const stopLooking = this.#lookForBetter(way, run.controller);
    try {
      if (way === "websocket") await this.#link.socket.attach(this, run.signal);
      else if (way === "sse") await stream(this.#link, this, run.signal);
      else await poll(this.#link, this, run.signal);
      return run.signal.aborted ? run.signal.reason : undefined;
    } catch (error) {
      return run.signal.aborted ? run.signal.reason : error;
    } finally {
      this.acknowledge = undefined;
      stopLooking();
      run.controller.abort();
      run.cut();
    }
  }

  /**
   * While a worse transport is in use, tries better ones from time to time.
   *
   * @param {Transport} way
   * @param {AbortController} run
   */
  #lookForBetter(way, run) {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const plan = () => {
      const next = this.#ways.better(way, Date.now());
      if (!next || run.signal.aborted) return;
      timer = setTimeout(async () => {
        if (this.state === "open" && (await this.#link.works(next.way))) run.abort(better);
        else plan();
      }, Math.max(next.wait, 1_000));
    };
    plan();
    return () => clearTimeout(timer);
  }

  /**
   * Returns how long to wait before the next try, undefined for never.
   *
   * @param {Transport} way
   * @param {Error} error
   */
  #judge(way, error) {
    const e = error instanceof PosthornError ? error : new PosthornError(error.message, { cause: error });
    if (e.code === "gap") {
      const at = this.#cursor ?? 0;
      this.#gap = this.#gap.at === at ? { at, times: this.#gap.times + 1 } : { at, times: 1 };
      return this.#gap.times > maxGaps ? undefined : this.#ways.delay();
    }
    if (e.status === 401) {
      if (!this.#link.access.renewable || ++this.#refused > maxRefused) return undefined;
      return this.#refused === 1 ? 0 : this.#ways.delay();
    }
    if (e.status === 410 && this.#options.gone === "oldest" && e.oldest !== undefined) {
      this.#cursor = e.oldest - 1;
      return 0;
    }
    // A proxy may refuse one transport with any status; what Posthorn itself says of the request counts for all.
    const certain = way === "poll" || way === this.#ways.last || (e.problem !== undefined && e.status !== 404);
    if (certain && e.status !== undefined && final.has(e.status)) return undefined;
    return this.#ways.failed(way, Date.now(), { reachable: e.status !== undefined, retryAfter: e.retryAfter });
  }

  // The consumer.

  /** @param {(event: Event, subscription: Subscription) => unknown} onEvent */
  async #handle(onEvent) {
    const events = this[Symbol.asyncIterator]();
    try {
      for (let r = await events.next(); !r.done; r = await events.next()) await onEvent(r.value, this);
    } catch (error) {
      this.#finish(asError(error)); // unless that is what has ended it
      this.#options.onError?.(asError(error));
    }
  }

  /** @returns {AsyncIterator<Event, undefined>} */
  [Symbol.asyncIterator]() {
    if (this.#iterated) throw new TypeError("a subscription has one reader");
    this.#iterated = true;
    /** @type {Event | undefined} */
    let given;
    return {
      next: async () => {
        if (given) this.#handled(given);
        given = undefined;
        while (this.#queue.length === 0 && !this.signal.aborted) await this.#change();
        given = this.#queue.shift();
        if (given) {
          this.#wake();
          return { done: false, value: given };
        }
        if (this.#error) throw this.#error;
        return { done: true, value: undefined };
      },
      return: async () => {
        this.#finish();
        return { done: true, value: undefined };
      },
    };
  }

  /** @param {Event} event */
  #handled(event) {
    this.version = event.version;
    if (++this.#unacknowledged < this.window / 4 && this.#queue.length > 0) return;
    this.#unacknowledged = 0;
    this.acknowledge?.(event.version);
  }

  /** Ends it; with an error, what waits in the queue is still given. @param {Error} [error] */
  #finish(error) {
    if (this.signal.aborted) return;
    this.#error = error;
    if (!error) this.#queue.length = 0;
    this.#end.abort(error);
    this.#isNotReady(error ?? new PosthornError("the subscription was closed", { code: "closed" }));
    this.#tell("closed", this.transport, error);
    this.#link.ended(this);
    this.#wake();
    if (error && !this.#iterated) this.#options.onError?.(error);
  }

  /**
   * @param {State} state
   * @param {Transport} [transport]
   * @param {Error} [error]
   * @param {number} [retryIn]
   */
  #tell(state, transport, error, retryIn) {
    this.state = state;
    this.transport = transport;
    const change = { subscription: /** @type {any} */ (this), state, transport, error, retryIn };
    this.#options.onState?.(change);
    this.#link.tell(change);
  }

  #wake() {
    for (const resolve of [...this.#waiting]) resolve();
  }

  /** Waits until something has changed. @param {AbortSignal} [signal] */
  #change(signal) {
    return new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
      const end = () => {
        this.#waiting.delete(end);
        signal?.removeEventListener("abort", end);
        resolve();
      };
      this.#waiting.add(end);
      signal?.addEventListener("abort", end);
    });
  }
}

/** @param {SubscribeOptions} options */
function checkOptions({ start, window, gone }) {
  if (start !== undefined && !(Number.isSafeInteger(start) && start >= 1)) throw new RangeError("start must be a whole number from 1");
  if (window !== undefined && !(Number.isSafeInteger(window) && window >= 1 && window <= 10_000)) throw new RangeError("window must be 1 to 10000");
  if (gone !== undefined && gone !== "error" && gone !== "oldest") throw new RangeError('gone must be "error" or "oldest"');
}
