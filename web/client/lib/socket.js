import { PosthornError, asError, errorOf } from "./errors.js";

const subprotocol = "posthorn.v1.json";
/** A socket without subscriptions and publishes is closed after so long, in milliseconds. */
const idle = 1_000;
/** The most publishes that wait for their answers, and bytes that wait to be sent, before a publish goes over HTTP. */
const maxPublishes = 100;
const maxBuffered = 1 << 20;
/** A publish with more text, in characters, goes over HTTP: the server bounds messages. */
const maxPublish = 200_000;

/**
 * @typedef {import("./subscription.js").Subscription} Subscription
 * @typedef {{ sub: Subscription, first: number, end: (error?: unknown) => void, opened: () => void }} Attached
 * @typedef {{ resolve: (events: any[]) => void, reject: (error: unknown) => void }} Answer
 */

/**
 * The one WebSocket of a client, shared by its subscriptions and publishes. It opens when it is needed. Whether it is alive is seen by
 * what arrives: after a keep-alive's silence it asks with a ping, after three it gives up.
 */
export class Socket {
  #link;
  /** @type {WebSocket | undefined} */ #ws;
  /** @type {Promise<WebSocket> | undefined} */ #opening;
  /** @type {Map<string, Attached>} */ #attached = new Map();
  /** @type {Map<string, Answer>} */ #publishing = new Map();
  /** @type {ReturnType<typeof setInterval> | undefined} */ #pulse;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #idle;
  /** @type {(error: unknown) => void} Ends the socket in use. */ #drop = () => {};
  #heard = 0;
  #count = 0;

  /** @param {import("./link.js").Link} link */
  constructor(link) {
    this.#link = link;
  }

  get isOpen() {
    return this.#ws?.readyState === 1;
  }

  /** Opens it, or waits with others until it is open. */
  async connect() {
    if (this.#ws && this.isOpen) return this.#ws;
    this.#opening ??= this.#open().finally(() => (this.#opening = undefined));
    return this.#opening;
  }

  /**
   * Subscribes, and hands over what comes. It returns when the signal is aborted and throws when the server refuses or the socket ends.
   *
   * @param {Subscription} sub
   * @param {AbortSignal} signal
   */
  async attach(sub, signal) {
    await this.connect();
    if (signal.aborted) return;
    const id = String(++this.#count);
    const { promise, resolve, reject } = withResolvers();
    const late = setTimeout(() => this.#drop(new PosthornError("the server did not answer in time", { code: "timeout" })), this.#link.connectTimeout);
    const attached = {
      sub, first: sub.start ?? 1, opened: () => clearTimeout(late),
      end: (/** @type {unknown} */ error) => (error === undefined ? resolve(undefined) : reject(error)),
    };
    this.#attached.set(id, attached);
    sub.acknowledge = (version) => {
      if (version >= attached.first) this.#send({ type: "ack", id, version });
    };
    const leave = () => {
      this.#send({ type: "unsubscribe", id });
      resolve(undefined);
    };
    signal.addEventListener("abort", leave);
    try {
      this.#send({ type: "subscribe", id, start: sub.start, ...sub.selection, window: sub.window });
      await promise;
    } finally {
      clearTimeout(late);
      signal.removeEventListener("abort", leave);
      this.#attached.delete(id);
      this.#rest();
    }
  }

  /**
   * Publishes over the open socket. It returns undefined when that cannot be done here and now.
   *
   * @param {readonly object[]} events
   * @param {string | undefined} key
   * @param {AbortSignal} signal
   * @returns {Promise<any[]> | undefined}
   */
  publish(events, key, signal) {
    if (!this.isOpen || this.#publishing.size >= maxPublishes || (this.#ws?.bufferedAmount ?? 0) > maxBuffered) return undefined;
    const ref = `p${++this.#count}`;
    const text = JSON.stringify({ type: "publish", ref, events, idempotency_key: key });
    if (text.length > maxPublish) return undefined;
    const answer = withResolvers();
    const stop = () => answer.reject(signal.reason);
    signal.addEventListener("abort", stop);
    this.#publishing.set(ref, answer);
    this.#ws?.send(text);
    return answer.promise.finally(() => {
      signal.removeEventListener("abort", stop);
      this.#publishing.delete(ref);
      this.#rest();
    });
  }

  close() {
    this.#drop(new PosthornError("the client was closed", { code: "closed" }));
  }

  async #open() {
    const { access } = this.#link;
    const credential = await access.credential();
    const ws = this.#link.openSocket(this.#link.http.address("/socket"), [subprotocol], credential);
    this.#ws = ws;
    const { promise, resolve, reject } = withResolvers();
    let ended = false;
    /** @param {unknown} error */
    const end = (error) => {
      if (ended) return;
      ended = true;
      clearTimeout(late);
      if (this.#ws === ws) this.#lost(error);
      reject(error);
      if (ws.readyState < 2) ws.close();
    };
    const late = setTimeout(() => end(new PosthornError("the WebSocket did not open in time", { code: "timeout" })), this.#link.connectTimeout);
    this.#drop = end;
    ws.onopen = () => {
      clearTimeout(late);
      this.#heard = Date.now();
      this.#watch();
      this.#rest();
      resolve(ws);
    };
    ws.onmessage = ({ data }) => {
      this.#heard = Date.now();
      if (!ended) this.#message(data, end);
    };
    ws.onerror = () => {}; // a close follows
    ws.onclose = ({ code, reason }) => {
      if (code === 1008) access.forget(credential); // it has expired or was revoked
      end(new PosthornError(`the WebSocket was closed with code ${code}${reason ? `: ${reason}` : ""}`));
    };
    return promise;
  }

  /** @param {unknown} error */
  #lost(error) {
    this.#ws = undefined;
    this.#drop = () => {};
    clearInterval(this.#pulse);
    clearTimeout(this.#idle);
    for (const a of [...this.#attached.values()]) a.end(error);
    for (const p of [...this.#publishing.values()]) p.reject(error);
  }

  #watch() {
    const { keepAlive } = this.#link;
    clearInterval(this.#pulse);
    this.#pulse = setInterval(() => {
      const silence = Date.now() - this.#heard;
      if (silence > 3 * keepAlive) this.#drop(new PosthornError("the WebSocket is silent", { code: "timeout" }));
      else if (silence > keepAlive) this.#send({ type: "ping", ref: "alive" });
    }, keepAlive / 2);
  }

  /** Closes the socket when nobody has needed it for a while. */
  #rest() {
    clearTimeout(this.#idle);
    if (this.#attached.size + this.#publishing.size > 0) return;
    this.#idle = setTimeout(() => {
      if (this.#attached.size + this.#publishing.size === 0) this.close();
    }, idle);
  }

  /** @param {object} message */
  #send(message) {
    if (this.isOpen) this.#ws?.send(JSON.stringify(message));
  }

  /**
   * @param {unknown} data
   * @param {(error: unknown) => void} drop
   */
  #message(data, drop) {
    let m;
    try {
      m = JSON.parse(String(data));
    } catch (cause) {
      return drop(new PosthornError("a message is not JSON", { cause }));
    }
    if (typeof m?.ref === "string") return this.#answer(m);
    const a = this.#attached.get(m?.id);
    if (!a) return; // of a subscription that has ended
    try {
      this.#hand(a, m);
    } catch (error) {
      this.#send({ type: "unsubscribe", id: m.id });
      a.end(error);
    }
  }

  /**
   * @param {Attached} a
   * @param {any} m
   */
  #hand(a, m) {
    switch (m.type) {
      case "event":
        return a.sub.take(m.event);
      case "subscribed":
        a.opened();
        a.first = Math.max(a.first, m.next);
        a.sub.moved(Math.min(m.next, a.sub.start ?? m.next));
        return a.sub.opened("websocket");
      case "position":
        return a.sub.moved(m.next);
      case "unsubscribed":
        return a.end(new PosthornError("the server ended the subscription"));
      case "error":
        return a.end(errorOf(m.problem ?? {}));
    }
  }

  /** @param {any} m */
  #answer(m) {
    const p = this.#publishing.get(m.ref);
    if (!p) return; // a pong, or an answer that nobody waits for
    if (m.type === "published" && Array.isArray(m.events)) p.resolve(m.events);
    else p.reject(m.type === "error" ? errorOf(m.problem ?? {}) : new PosthornError("an answer of an unknown kind"));
  }
}

/** Promise.withResolvers, which Node 20 lacks. */
function withResolvers() {
  /** @type {(value: any) => void} */
  let resolve = () => {};
  /** @type {(error: unknown) => void} */
  let reject = () => {};
  const promise = new Promise((yes, no) => {
    resolve = yes;
    reject = (error) => no(asError(error));
  });
  promise.catch(() => {}); // whoever waits is told
  return { promise, resolve, reject };
}
