import { PosthornError } from "./errors.js";
import { pause } from "./time.js";

/** The longest wait asked for, in seconds: below what proxies allow. */
const longest = 25;
/** The shortest to go down to when something in between does not let requests wait. */
const shortest = 2;
/** A poll that was to wait and came back empty sooner, in milliseconds, did not wait. */
const soon = 250;

/**
 * Follows the change feed. It throws when a request fails.
 *
 * @param {import("./link.js").Link} link
 * @param {import("./subscription.js").Subscription} sub
 * @param {AbortSignal} signal
 */
export async function poll(link, sub, signal) {
  if (sub.start === undefined) {
    const page = await changes(link, { limit: 1 }, signal);
    sub.moved(page.head + 1);
  }
  const most = Math.min(sub.window, 1000);
  let limit = most;
  let wait = 0; // the first request shows at once whether it works
  let cuts = 0; // of polls that waited, in a row
  for (;;) {
    await sub.room(signal);
    if (signal.aborted) return;
    const asked = Date.now();
    let page;
    try {
      page = await changes(link, { ...sub.query, start: sub.start, limit, wait: wait || undefined }, signal);
    } catch (error) {
      // A connection that breaks in the middle of large pages brings smaller ones.
      if (error instanceof PosthornError && error.code === "incomplete" && limit > 1) {
        limit = Math.ceil(limit / 4);
        continue;
      }
      // A proxy that ends requests which wait too long for it is no reason to give up; a server that stops once is no such proxy.
      const waited = (Date.now() - asked) / 1000;
      if (wait <= shortest || waited < shortest || signal.aborted || !cutOff(error)) throw error;
      if (++cuts > 1) link.longestWait = wait = Math.max(Math.floor(Math.min(wait, waited) / 2), shortest);
      continue;
    }
    cuts = 0;
    limit = Math.min(2 * limit, most);
    if (signal.aborted) return;
    sub.opened("poll");
    for (const event of page.changes) sub.take(event);
    sub.moved(page.next);
    if (wait > 0 && page.changes.length === 0 && Date.now() - asked < soon) await pause(1000, signal);
    wait = Math.min(link.longestWait ?? longest, longest);
  }
}

/** @param {unknown} error */
function cutOff(error) {
  return error instanceof PosthornError && (error.status === undefined || [408, 502, 504].includes(error.status));
}

/**
 * @param {import("./link.js").Link} link
 * @param {Record<string, string | number | undefined>} query
 * @param {AbortSignal} signal
 * @returns {Promise<{ changes: any[], next: number, head: number }>}
 */
async function changes(link, query, signal) {
  const timeout = link.connectTimeout + 1000 * Number(query.wait ?? 0);
  const { body } = await link.http.call("/changes", { query, signal, timeout, cache: "no-store" });
  if (!Array.isArray(body?.changes)) throw new PosthornError("the answer is not a page of changes");
  return body;
}
