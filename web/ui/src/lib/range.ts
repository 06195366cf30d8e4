// The arithmetic of a time range: pure.
export function nearest(ms: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, Math.round(ms)));
}

/** Where a time is on a line, 0…1. */
export function share(at: number, since: number, until: number): number {
  return until > since ? Math.max(0, Math.min(1, (at - since) / (until - since))) : 0;
}

/** A time as <input type="datetime-local"> takes it, in the local zone, to the second. */
export function localInput(ms: number): string {
  const d = new Date(ms);
  const two = (n: number): string => String(n).padStart(2, "0");
  return `${String(d.getFullYear()).padStart(4, "0")}-${two(d.getMonth() + 1)}-${two(d.getDate())}T${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

export function fromLocalInput(text: string): number | undefined {
  const ms = new Date(text).getTime();
  return Number.isNaN(ms) ? undefined : ms;
}
