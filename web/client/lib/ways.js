/** @typedef {import("../posthorn.d.ts").Transport} Transport */

/** A connection that lived so long, in milliseconds, was a good one: failures before it are forgotten. */
const steady = 5_000;
/** How often in a row a transport that has worked may fail before the next one is tried. */
const patience = 3;
const longestBlock = 600_000; // ms

/** What all subscriptions of a client know of the transports. */
export class Known {
  /** @type {Map<Transport, { until: number, times: number }>} */ #blocked = new Map();
  /** @type {Set<Transport>} */ worked = new Set();

  /** @param {number} retryAfter */
  constructor(retryAfter) {
    this.retryAfter = retryAfter;
  }

  /** Until when a transport is not tried. @param {Transport} way */
  until(way) {
    return this.#blocked.get(way)?.until ?? 0;
  }

  /**
   * @param {Transport} way
   * @param {number} now
   * @param {number} [wait] As the server asks for.
   */
  block(way, now, wait) {
    const b = this.#blocked.get(way) ?? { until: 0, times: 0 };
    if (b.until > now && wait === undefined) return; // another subscription found out first
    // One that has worked most likely failed with the server, and comes back with it.
    const first = this.worked.has(way) ? this.retryAfter / 12 : this.retryAfter;
    b.until = now + (wait ?? Math.min(first * 2 ** b.times, longestBlock));
    if (wait === undefined) b.times++;
    this.#blocked.set(way, b);
  }

  /** Lets a transport be tried now; how often it failed is remembered. @param {Transport} way */
  allow(way) {
    const b = this.#blocked.get(way);
    if (b) b.until = 0;
  }

  /** @param {Transport} way */
  good(way) {
    this.#blocked.delete(way);
  }

  forget() {
    this.#blocked.clear();
  }
}

/** Decides which transport a subscription uses next, and when. It does nothing itself. */
export class Ways {
  /** @type {Map<Transport, number>} */ #strikes = new Map();
  /** @type {number | undefined} */ #openedAt;
  #round = 0;

  /**
   * @param {readonly Transport[]} order The best first.
   * @param {Known} known
   * @param {{ min: number, max: number }} backoff
   * @param {() => number} [random]
   */
  constructor(order, known, backoff, random = Math.random) {
    this.order = order;
    this.known = known;
    this.backoff = backoff;
    this.random = random;
  }

  /** The last resort; it is never blocked. */
  get last() {
    return this.order[this.order.length - 1];
  }

  /** @param {number} now */
  choose(now) {
    return this.order.find((way) => this.known.until(way) <= now) ?? this.last;
  }

  /**
   * The transport better than the one in use that may be tried again first, and in how many milliseconds.
   *
   * @param {Transport} way
   * @param {number} now
   */
  better(way, now) {
    const candidates = this.order.slice(0, this.order.indexOf(way)).map((w) => ({ way: w, wait: Math.max(this.known.until(w) - now, 0) }));
    return candidates.sort((a, b) => a.wait - b.wait)[0];
  }

  /**
   * @param {Transport} way
   * @param {number} now
   */
  opened(way, now) {
    this.#openedAt = now;
    this.known.worked.add(way);
  }

  /**
   * Takes note of a failure and returns how long to wait, in milliseconds, before choosing again.
   *
   * @param {Transport} way
   * @param {number} now
   * @param {{ reachable?: boolean, retryAfter?: number }} failure reachable: the server answered, if not as wished.
   */
  failed(way, now, { reachable = false, retryAfter } = {}) {
    if (this.#openedAt !== undefined && now - this.#openedAt >= steady) {
      this.#strikes.clear();
      this.#round = 0;
      this.known.good(way);
    }
    this.#openedAt = undefined;
    if (way === this.last) {
      // Nothing gets through: it is the server or the network, not one transport.
      if (!reachable) {
        this.known.forget();
        this.#strikes.clear();
      }
      return Math.max(this.delay(), retryAfter ?? 0);
    }
    const strikes = (this.#strikes.get(way) ?? 0) + 1;
    this.#strikes.set(way, strikes);
    if (retryAfter === undefined && strikes < (this.known.worked.has(way) ? patience : 1)) return this.delay();
    this.#strikes.delete(way);
    this.known.block(way, now, retryAfter);
    return 0;
  }

  /** The next pause: doubling, with jitter, so that the clients of a server do not come back all at once. */
  delay() {
    const longest = Math.min(this.backoff.min * 2 ** this.#round, this.backoff.max);
    if (longest < this.backoff.max) this.#round++;
    return longest * (0.5 + 0.5 * this.random());
  }
}
