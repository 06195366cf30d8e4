/**
 * Waits. It ends early when the signal is aborted, and when the browser is online again.
 *
 * @param {number} ms
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
export function pause(ms, signal) {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      globalThis.removeEventListener?.("online", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
    globalThis.addEventListener?.("online", end);
  });
}

/**
 * A controller that is aborted with any of the signals, and a function that cuts it off from them.
 *
 * @param {...(AbortSignal | undefined)} signals
 */
export function linked(...signals) {
  const controller = new AbortController();
  /** @type {[AbortSignal, () => void][]} */
  const listening = [];
  for (const signal of signals) {
    if (!signal) continue;
    if (signal.aborted) controller.abort(signal.reason);
    const stop = () => controller.abort(signal.reason);
    signal.addEventListener("abort", stop);
    listening.push([signal, stop]);
  }
  const cut = () => {
    for (const [signal, stop] of listening) signal.removeEventListener("abort", stop);
  };
  return { controller, signal: controller.signal, cut };
}

/**
 * The promise, or a rejection with the signal's reason when that is aborted first. Node's fetch may miss an abort once its request has
 * been collected as garbage.
 *
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
export function unless(promise, signal) {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
