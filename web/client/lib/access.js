/** A token is renewed so long before it expires, in milliseconds: a request takes time. */
const early = 5_000;

/** What is sent to be let in: an API key, or a token, which may be made anew. */
export class Access {
  /** @type {string | undefined} */ #current;
  /** @type {Promise<string> | undefined} */ #making;
  #getToken;

  /** @param {{ key?: string, token?: string, getToken?: () => string | Promise<string> }} options */
  constructor({ key, token, getToken }) {
    if (key !== undefined && (token !== undefined || getToken)) throw new TypeError("give a key or a token, not both");
    this.isKey = key !== undefined;
    this.#current = key ?? token;
    this.#getToken = getToken;
  }

  /** Whether a refused credential can be replaced. */
  get renewable() {
    return this.#getToken !== undefined;
  }

  /** The credential to use now; undefined: none, which leaves cookies. */
  async credential() {
    if (this.#getToken && (this.#current === undefined || expired(this.#current))) {
      this.#making ??= Promise.resolve(this.#getToken()).finally(() => (this.#making = undefined));
      this.#current = await this.#making;
    }
    return this.#current;
  }

  /** Forgets a credential that was refused, so that the next one is new. @param {string | undefined} refused */
  forget(refused) {
    if (this.#getToken && refused === this.#current) this.#current = undefined;
  }

  /** Forgets whatever is in use. */
  renew() {
    this.forget(this.#current);
  }

  /** Whether everything of the tenant is seen. A token may hold less, and of cookies nothing is known. */
  get whole() {
    if (this.isKey) return true;
    const claims = this.#current && claimsOf(this.#current);
    if (!claims) return false;
    const own = { ...claims, ...claims.posthorn };
    return !own.types?.length && !own.subjects?.length;
  }
}

/** @param {string} token */
function expired(token) {
  const exp = claimsOf(token)?.exp;
  return typeof exp === "number" && exp * 1000 - early < Date.now();
}

/**
 * What a token says; nothing is checked, which is the server's duty.
 *
 * @param {string} token
 * @returns {Record<string, any> | undefined}
 */
function claimsOf(token) {
  try {
    const middle = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(middle), (c) => c.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return typeof claims === "object" && claims !== null ? claims : undefined;
  } catch {
    return undefined; // not a JWT
  }
}
