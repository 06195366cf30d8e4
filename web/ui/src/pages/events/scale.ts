// Where things stand on an event's time line: pure. Time is drawn by its logarithm, since tries are milliseconds apart at first and hours later.
const BASE = 4; // ms that get as much room as all before them

/** The place of a delay on the line, 0…1; span is the whole line. Both in ms. */
export function place(delay: number, span: number): number {
  return Math.log1p(Math.max(0, delay) / BASE) / Math.log1p(Math.max(1, span) / BASE);
}

/** A span a little longer than what happened: in steps, so that a line that grows seldom moves what is on it. */
export function lengthOf(ms: number): number {
  const step = Math.log(1.35);
  return Math.exp(Math.ceil(Math.log(Math.max(100, ms)) / step) * step);
}

const STEPS = [10, 100, 1000, 10_000, 60_000, 600_000, 3_600_000, 21_600_000, 86_400_000, 604_800_000, 2_592_000_000];

/** The delays to mark on a line that is so many px wide, at least `room` px from each other. */
export function ticks(span: number, width: number, room = 64): number[] {
  const out: number[] = [];
  let last = 0;
  for (const step of STEPS) {
    const x = place(step, span) * width;
    if (step >= span || x - last < room || width - x < room / 2) continue;
    out.push(step);
    last = x;
  }
  return out;
}

/** Moves places apart that are closer than gap, keeping their order and staying within the width. All in px, ascending. */
export function spread(places: readonly number[], gap: number, width: number): number[] {
  const least = places.length > 1 ? Math.min(gap, width / (places.length - 1)) : gap;
  const out: number[] = [];
  for (const [i, x] of places.entries()) out.push(i === 0 ? Math.max(0, x) : Math.max(x, (out[i - 1] ?? 0) + least));
  let limit = width;
  for (let i = out.length - 1; i >= 0; i--) {
    out[i] = Math.min(out[i] ?? 0, limit);
    limit = (out[i] ?? 0) - least;
  }
  return out;
}
