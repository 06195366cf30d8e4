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
