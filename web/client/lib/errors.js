/** @typedef {{ code?: string, status?: number, retryAfter?: number, oldest?: number, problem?: Record<string, unknown>, cause?: unknown }} Details */

/** What the server refuses, or what ended a connection. */
export class PosthornError extends Error {
  /**
   * @param {string} message
   * @param {Details} [details]
   */
  constructor(message, details = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "PosthornError";
    this.code = details.code ?? "connection";
    this.status = details.status;
    this.retryAfter = details.retryAfter;
    this.oldest = details.oldest;
    this.problem = details.problem;
  }
}

/**
 * The error that a problem document (RFC 9457) tells of.
 *
 * @param {Record<string, any>} problem
 * @param {{ status?: number, retryAfter?: number }} [more]
 */
export function errorOf(problem, more = {}) {
  const fields = Array.isArray(problem.errors) ? problem.errors.map((e) => `${e?.field}: ${e?.message}`).join("; ") : "";
  const text = [problem.detail ?? problem.title ?? "the server refused", fields].filter(Boolean).join(" — ");
  return new PosthornError(String(text), {
    code: typeof problem.code === "string" ? problem.code : "connection",
    status: more.status ?? (typeof problem.status === "number" ? problem.status : undefined),
    retryAfter: more.retryAfter ?? (typeof problem.retry_after === "number" ? problem.retry_after * 1000 : undefined),
    oldest: typeof problem.oldest === "number" ? problem.oldest : undefined,
    problem,
  });
}

/** Any thrown value as an error. @param {unknown} value */
export function asError(value) {
  return value instanceof Error ? value : new PosthornError(String(value));
}
