// The arithmetic of a chart: where its axes have marks, and what its lines are made of. Pure.
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const steps = [1, 2, 5, 10, 15, 30].map((n) => n * SECOND).concat([1, 2, 5, 10, 15, 30].map((n) => n * MINUTE), [1, 2, 3, 6, 12].map((n) => n * HOUR), [1, 2, 4, 7, 14, 28, 56, 112, 364].map((n) => n * DAY));

/** Round values from low to high, about `most` of them: steps of 1, 2, 2.5 or 5 times a power of ten. */
export function valueTicks(low: number, high: number, most: number): number[] {
  if (!(high > low)) return [low];
  const raw = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 2.5, 5].find((n) => n * power >= raw * 0.999) ?? 10) * power;
  const out: number[] = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high * (1 + 1e-9); k++) out.push(Number((k * step).toPrecision(12)));
  return out;
}

/** Round times from one to another, ms since 1970, at most `most` of them; whole hours and days are those of the clock on the wall. */
export function timeTicks(from: number, to: number, most: number, offset: (ms: number) => number = (ms) => new Date(ms).getTimezoneOffset() * MINUTE): number[] {
  if (!(to > from)) return [from];
  const step = steps.find((ms) => (to - from) / ms <= Math.max(1, most)) ?? steps.at(-1) ?? DAY;
  const out: number[] = [];
  for (let k = Math.floor((from - offset(from)) / step); ; k++) {
    const at = k * step + offset(k * step + offset(from)); // the clocks may have been changed in between
    if (at > to) return out;
    if (at >= from) out.push(at);
  }
}

export interface Point {
  i: number;
  v: number;
}

/** The pieces of a line between its gaps. */
export function runs(values: readonly (number | null | undefined)[]): Point[][] {
  const out: Point[][] = [];
  values.forEach((v, i) => {
    if (v === null || v === undefined) return;
    const before = values[i - 1];
    if (before === null || before === undefined) out.push([]);
    out.at(-1)?.push({ i, v });
  });
  return out;
}

/** The place of the one of the ascending numbers that is nearest. */
export function closest(numbers: readonly number[], to: number): number {
  let low = 0;
  let high = numbers.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] ?? 0) <= to) low = middle;
    else high = middle;
  }
  return Math.abs((numbers[high] ?? 0) - to) < Math.abs((numbers[low] ?? 0) - to) ? high : low;
}
