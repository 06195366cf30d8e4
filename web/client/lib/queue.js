/** @typedef {import("../posthorn.d.ts").Leases} Leases */

/** The longest that a lease waits when it does not say, in seconds. */
const longestWait = 60;

/** A named queue, from which consumers lease events. */
export class Queue {
  #link;

  /**
   * @param {import("./link.js").Link} link
   * @param {string} name
   */
  constructor(link, name) {
    if (typeof name !== "string" || !name) throw new TypeError("the queue's name is missing");
    this.#link = link;
    this.name = name;
  }

  /** @param {{ max?: number, wait?: string, visibility?: string, signal?: AbortSignal }} [options] */
  async lease({ signal, ...body } = {}) {
    return (await this.#post("lease", body, signal, body.wait === undefined ? 0 : longestWait)).events;
  }

  /** @param {Leases} leases */
  ack(leases) {
    return this.#post("ack", { receipts: receipts(leases) });
  }

  /**
   * @param {Leases} leases
   * @param {{ delay?: string }} [options]
   */
  nack(leases, options = {}) {
    return this.#post("nack", { receipts: receipts(leases), delay: options.delay });
  }

  /**
   * @param {Leases} leases
   * @param {{ visibility?: string }} [options]
   */
  extend(leases, options = {}) {
    return this.#post("extend", { receipts: receipts(leases), visibility: options.visibility });
  }

  /**
   * @param {string} what
   * @param {object} body
   * @param {AbortSignal} [signal]
   * @param {number} [wait] In seconds.
   * @returns {Promise<any>}
   */
  async #post(what, body, signal, wait = 0) {
    const timeout = this.#link.connectTimeout + 1000 * wait;
    const path = `/queues/${encodeURIComponent(this.name)}/${what}`;
    return (await this.#link.request(path, { method: "POST", body, signal, timeout })).body;
  }
}

/** @param {Leases} leases */
function receipts(leases) {
  return (Array.isArray(leases) ? leases : [leases]).map((l) => (typeof l === "string" ? l : l.receipt));
}
