import { PosthornError } from "./errors.js";
import { Link } from "./link.js";
import { Queue } from "./queue.js";
import { Subscription } from "./subscription.js";
import { linked, pause } from "./time.js";

/**
 * @typedef {import("../posthorn.d.ts").PosthornOptions} PosthornOptions
 * @typedef {import("../posthorn.d.ts").NewEvent} NewEvent
 * @typedef {import("../posthorn.d.ts").Published} Published
 * @typedef {import("../posthorn.d.ts").PublishOptions} PublishOptions
 * @typedef {import("../posthorn.d.ts").ChangesOptions} ChangesOptions
 * @typedef {import("../posthorn.d.ts").SubscribeOptions} SubscribeOptions
 */

/** Statuses after which a publish is tried again; without a status the connection failed. */
const passing = new Set([408, 429, 502, 503, 504]);

/** The client of one tenant. */
export class Posthorn extends EventTarget {
  #link;

  /** @param {PosthornOptions} options */
  constructor(options) {
    super();
    this.#link = new Link(options, (change) => this.dispatchEvent(new CustomEvent("state", { detail: change })));
  }

  get transport() {
    return this.#link.transport;
  }

  /**
   * @param {any} events
   * @param {PublishOptions} [options]
   * @returns {Promise<any>}
   */
  async publish(events, options = {}) {
    const many = Array.isArray(events);
    const list = (many ? events : [events]).map((e) => (e.id === undefined ? { ...e, id: newID() } : e));
    const own = linked(this.#link.signal, options.signal);
    const overdue = new PosthornError("the server did not take it in time", { code: "timeout" });
    const timer = setTimeout(() => own.controller.abort(overdue), options.timeout ?? 30_000);
    /** @type {unknown} */
    let last;
    try {
      let done;
      for (let tries = 0; !done; tries++) {
        own.signal.throwIfAborted();
        try {
          done = await this.#publish(list, many, tries > 0 || options.overHTTP === true, options.idempotencyKey, own.signal);
        } catch (error) {
          own.signal.throwIfAborted();
          if (!this.#again(error, tries)) throw error;
          last = error;
          const wait = tries === 0 ? 0 : Math.min(this.#link.backoff.min * 2 ** (tries - 1), this.#link.backoff.max) * (0.5 + Math.random() / 2);
          await pause(Math.max(wait, /** @type {any} */ (error).retryAfter ?? 0), own.signal);
        }
      }
      return many ? done : done[0];
    } catch (error) {
      throw error === overdue && last ? last : error;
    } finally {
      clearTimeout(timer);
      own.cut();
    }
  }

  /**
   * @param {object[]} list
   * @param {boolean} many
   * @param {boolean} overHTTP
   * @param {string | undefined} key
   * @param {AbortSignal} signal
   * @returns {Promise<Published[]>}
   */
  async #publish(list, many, overHTTP, key, signal) {
    const sent = overHTTP ? undefined : this.#link.socket.publish(list, key, signal);
    if (sent) return (await sent).map(({ id, version, duplicate }) => ({ id, version, duplicate: duplicate === true }));
    const { status, body } = await this.#link.http.call("/events", {
      method: "POST", body: many ? list : list[0], signal, timeout: this.#link.connectTimeout, headers: key === undefined ? {} : { "Idempotency-Key": key },
    });
    return (many ? body.events : [body]).map((/** @type {Published} */ { id, version }) => ({ id, version, duplicate: status === 200 }));
  }

  /**
   * Whether a publish that failed is worth another try. It has an id, so it will not be there twice.
   *
   * @param {unknown} error
   * @param {number} tries
   */
  #again(error, tries) {
    if (!(error instanceof PosthornError)) return false;
    if (error.status === 401) return this.#link.access.renewable && tries === 0;
    return error.status === undefined ? error.problem === undefined : passing.has(error.status);
  }

  /** @param {ChangesOptions} [options] */
  async changes({ start, limit, wait, types, subjects, filter, signal } = {}) {
    const query = { start, limit, wait, types: types?.join(","), subject: subjects?.join(","), filter };
    const timeout = this.#link.connectTimeout + 1000 * (wait ?? 0);
    return (await this.#link.request("/changes", { query, signal, timeout, cache: wait ? "no-store" : undefined })).body;
  }

  /**
   * @param {SubscribeOptions} [options]
   * @param {(event: any, subscription: any) => unknown} [onEvent]
   * @returns {any}
   */
  subscribe(options = {}, onEvent = undefined) {
    this.#link.signal.throwIfAborted();
    const sub = new Subscription(this.#link, options, onEvent);
    if (!sub.signal.aborted) this.#link.subscriptions.add(sub);
    return sub;
  }

  /**
   * @param {string} name
   * @returns {any}
   */
  queue(name) {
    return new Queue(this.#link, name);
  }

  close() {
    this.#link.close();
  }
}

/** A UUID of version 4. crypto.randomUUID is not there for pages that came over plain HTTP. */
function newID() {
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  return Array.from(b, (v, i) => ([4, 6, 8, 10].includes(i) ? "-" : "") + v.toString(16).padStart(2, "0")).join("");
}
