// Numbers and times as the language shown writes them. Everything here is reactive to the language.
import { createSubscriber } from "svelte/reactivity";
import { lang } from "./i18n.svelte";
import { parseDuration, pieces, relative } from "./time";

export type When = string | number | Date;

const made = new Map<string, unknown>();
function memo<T>(kind: string, make: () => T): T {
  const key = `${lang.code} ${kind}`;
  if (!made.has(key)) made.set(key, make());
  return made.get(key) as T;
}
function numbers(kind: string, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  return memo(kind, () => new Intl.NumberFormat(lang.code, options));
}
/** Dates are in the order of the person's own country, when it speaks the language shown; the hours always go to 24, as in every log. */
export function dates(kind: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  return memo(kind, () => new Intl.DateTimeFormat(navigator.languages.find((tag) => tag.startsWith(`${lang.code}-`)) ?? lang.code, { hourCycle: "h23", ...options }));
}

const ticking = createSubscriber((update) => {
  const timer = setInterval(update, 1000);
  return () => clearInterval(timer);
});

/** The time, moving on every second while something on the page shows it. */
export const clock = {
  get now(): number {
    ticking();
    return Date.now();
  },
};

export const fmt = {
  number: (n: number): string => numbers("n", { maximumFractionDigits: 2 }).format(n),
  /** 12.3K */
  compact: (n: number): string => (Math.abs(n) < 10_000 ? numbers("n1", { maximumFractionDigits: 1 }).format(n) : numbers("c", { notation: "compact", maximumFractionDigits: 1 }).format(n)),
  /** 0.9987 → 99.87%; never 100% for less than all. */
  percent(part: number): string {
    const digits = part > 0.99 || part < 0.01 ? 2 : 1;
    const floor = part < 1 ? Math.floor(part * 10 ** (digits + 2)) / 10 ** (digits + 2) : part;
    return numbers(`p${digits}`, { style: "percent", maximumFractionDigits: digits }).format(floor);
  },
  bytes(n: number): string {
    const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
    let i = 0;
    let v = n;
    while (v >= 1000 && i < units.length - 1) {
      v /= 1000;
      i++;
    }
    return numbers(`b${i}`, { style: "unit", unit: units[i] ?? "byte", unitDisplay: i === 0 ? "long" : "short", maximumFractionDigits: v < 10 && i > 0 ? 1 : 0 }).format(v);
  },
  /** A duration from ms or the API's "1h30m": "1 hr 30 min". */
  duration(value: number | string): string {
    const ms = typeof value === "number" ? value : parseDuration(value);
    if (ms === undefined) return String(value);
    const parts = pieces(ms);
    if (parts.length === 0) return numbers("second", { style: "unit", unit: "second", unitDisplay: "short" }).format(0);
    return parts.map(([unit, n]) => numbers(unit, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: 1 }).format(n)).join(" ");
  },
  /** 22 Nov 2026, 07:09:24 */
  time: (at: When): string => dates("dt", { dateStyle: "medium", timeStyle: "medium" }).format(new Date(at)),
  /** With milliseconds and zone, for title attributes. */
  full: (at: When): string =>
    dates("full", { year: "numeric", month: "long", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, timeZoneName: "short" }).format(new Date(at)),
  /** 22 Nov, 07:09 */
  short: (at: When): string => dates("sh", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).format(new Date(at)),
  date: (at: When): string => dates("d", { dateStyle: "medium" }).format(new Date(at)),
  /** 07:09:24.123 */
  clock: (at: When): string => dates("cl", { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 }).format(new Date(at)),
  /** "5 minutes ago", "in 3 hours"; pass clock.now to keep it fresh. */
  relative(at: When, from: number): string {
    const [unit, n] = relative(new Date(at).getTime() - from);
    const format = memo("rel", () => new Intl.RelativeTimeFormat(lang.code, { numeric: "auto", style: "short" }));
    return format.format(n === 0 ? 0 : n, unit);
  },
  list: (items: string[]): string => memo("list", () => new Intl.ListFormat(lang.code, { type: "conjunction" })).format(items),
};
