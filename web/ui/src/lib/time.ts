// Durations as the API writes them (Go's "1h30m", "250ms") and as people read them: pure.
const UNITS: Record<string, number> = { ns: 1e-6, us: 1e-3, "µs": 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of "1h30m", "24h", "5m0s", "250ms", "7d"; undefined if it is no duration. */
export function parseDuration(text: string): number | undefined {
  const clean = text.trim();
  if (clean === "" || !/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d))+$/.test(clean)) return clean === "0" ? 0 : undefined;
  let ms = 0;
  for (const [, n, unit] of clean.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)/g)) ms += Number(n) * (UNITS[unit ?? ""] ?? 0);
  return ms;
}

/** A duration as the API takes it, in the largest unit that is exact: 5400000 → "90m", 86400000 → "24h". */
export function writeDuration(ms: number): string {
  if (ms === 0) return "0s";
  for (const unit of ["h", "m", "s"]) {
    const one = UNITS[unit] ?? 1;
    if (ms % one === 0) return `${ms / one}${unit}`;
  }
  return `${ms}ms`;
}

/** The pieces of a duration to show, two at most: 5430000 → [["hour",1],["minute",30]]. */
export function pieces(ms: number): [unit: "day" | "hour" | "minute" | "second" | "millisecond", n: number][] {
  const abs = Math.abs(ms);
  if (abs < 1000) return [["millisecond", abs < 10 ? Math.round(abs * 10) / 10 : Math.round(abs)]];
  if (abs < 60_000) return [["second", abs < 10_000 ? Math.round(abs / 100) / 10 : Math.round(abs / 1000)]];
  const all: ["day" | "hour" | "minute" | "second", number][] = [];
  let rest = Math.round(abs / 1000);
  for (const [unit, size] of [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]] as const) {
    const n = Math.floor(rest / size);
    rest -= n * size;
    if (n > 0 || all.length > 0) all.push([unit, n]);
  }
  return all.slice(0, 2).filter(([, n]) => n > 0);
}

/** The unit and number for Intl.RelativeTimeFormat: -90000 → ["minute", -1]. */
export function relative(ms: number): [unit: "second" | "minute" | "hour" | "day" | "month" | "year", n: number] {
  const s = Math.trunc(ms / 1000);
  const abs = Math.abs(s);
  if (abs < 60) return ["second", s];
  if (abs < 3600) return ["minute", Math.trunc(s / 60)];
  if (abs < 86_400) return ["hour", Math.trunc(s / 3600)];
  if (abs < 86_400 * 30) return ["day", Math.trunc(s / 86_400)];
  if (abs < 86_400 * 365) return ["month", Math.trunc(s / (86_400 * 30))];
  return ["year", Math.trunc(s / (86_400 * 365))];
}
