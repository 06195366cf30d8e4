import { PosthornError, errorOf } from "./errors.js";
import { linked, unless } from "./time.js";

/** The most of an error's answer that is read, in characters. */
const maxProblem = 64 << 10;

/**
 * @typedef {{ method?: string, query?: Record<string, string | number | undefined>, body?: unknown, headers?: Record<string, string>,
 *   cache?: RequestCache, timeout: number, signal?: AbortSignal }} Request
 */

/** Requests to one tenant of one server. */
export class HTTP {
  #fetch;

  /**
   * @param {{ url?: string | URL, tenant: string, fetch?: typeof globalThis.fetch }} options
   * @param {import("./access.js").Access} access
   */
  constructor({ url, tenant, fetch = globalThis.fetch }, access) {
    const base = url ?? globalThis.location?.origin;
    if (!base) throw new TypeError("url is missing");
    if (typeof tenant !== "string" || !tenant) throw new TypeError("tenant is missing");
    this.base = new URL(`${String(base).replace(/\/+$/, "")}/v1/tenants/${encodeURIComponent(tenant)}`);
    if (!/^https?:$/.test(this.base.protocol)) throw new TypeError("url must begin with http:// or https://");
    this.access = access;
    this.#fetch = fetch;
  }

  /**
   * @param {string} path
   * @param {Record<string, string | number | undefined>} [query]
   */
  address(path, query = {}) {
    const url = new URL(this.base);
    url.pathname += path;
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && value !== "") url.searchParams.set(name, String(value));
    }
    return url;
  }

  /**
   * Makes a request and returns the answer when it is a good one; its body is still to be read. Everything else is thrown as a
   * PosthornError, and a refused credential is forgotten.
   *
   * @param {string} path
   * @param {Omit<Request, "timeout">} request
   */
  async open(path, { method = "GET", query, body, headers = {}, cache, signal }) {
    const credential = await this.access.credential();
    if (credential !== undefined) headers = { ...headers, Authorization: `Bearer ${credential}` };
    if (body !== undefined) headers = { ...headers, "Content-Type": "application/json" };
    let response;
    try {
      const call = this.#fetch; // not as a method: the global one must not have another this
      const asked = call(this.address(path, query), {
        method, headers, signal, cache, redirect: "error", body: body === undefined ? undefined : JSON.stringify(body),
        credentials: credential === undefined ? "same-origin" : "omit", // a cookie would say twice who calls
      });
      response = await unless(asked, signal);
    } catch (cause) {
      signal?.throwIfAborted();
      throw new PosthornError("the server cannot be reached", { cause });
    }
    if (response.ok) return response;
    if (response.status === 401) this.access.forget(credential);
    throw await refusal(response);
  }

  /**
   * Makes a request and returns what the answer holds and its status. It ends after its timeout.
   *
   * @param {string} path
   * @param {Request} request
   * @returns {Promise<{ status: number, body: any }>}
   */
  async call(path, { timeout, signal, ...request }) {
    const link = linked(signal);
    const timer = setTimeout(() => link.controller.abort(new PosthornError("the server did not answer in time", { code: "timeout" })), timeout);
    try {
      const response = await this.open(path, { ...request, signal: link.signal });
      return { status: response.status, body: response.status === 204 ? undefined : JSON.parse(await textOf(response, link.signal)) };
    } catch (cause) {
      link.signal.throwIfAborted();
      if (cause instanceof PosthornError) throw cause;
      throw new PosthornError("the answer broke off or is not JSON", { code: "incomplete", cause });
    } finally {
      clearTimeout(timer);
      link.cut();
    }
  }
}

/**
 * Reads pieces of an answer's body until it ends; it throws when the signal is aborted.
 *
 * @param {Response} response
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<Uint8Array>}
 */
export async function* piecesOf(response, signal) {
  const reader = response.body?.getReader();
  if (!reader) return;
  const cancel = () => void reader.cancel().catch(() => {}); // it has failed already
  signal.addEventListener("abort", cancel);
  try {
    for (;;) {
      signal.throwIfAborted();
      const { done, value } = await reader.read();
      signal.throwIfAborted();
      if (done) return;
      yield value;
    }
  } finally {
    signal.removeEventListener("abort", cancel);
    cancel();
  }
}

/**
 * @param {Response} response
 * @param {AbortSignal} signal
 */
async function textOf(response, signal) {
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of piecesOf(response, signal)) text += decoder.decode(piece, { stream: true });
  return text + decoder.decode();
}

/** @param {Response} response */
async function refusal(response) {
  const after = response.headers.get("Retry-After");
  const more = { status: response.status, retryAfter: after === null ? undefined : retryAfter(after) };
  let problem;
  try {
    const text = await response.text();
    problem = text.length <= maxProblem ? JSON.parse(text) : undefined;
  } catch {
    // Not from Posthorn: a proxy in between.
  }
  if (problem && typeof problem === "object" && typeof problem.code === "string") return errorOf(problem, more);
  return new PosthornError(`the server answered ${response.status}`, more);
}

/** Seconds or a date, as milliseconds from now. @param {string} text */
function retryAfter(text) {
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.max(ms, 0) : undefined;
}
