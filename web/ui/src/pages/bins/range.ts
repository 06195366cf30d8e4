// Times to choose from: pure.
export const presets = ["", "15m", "1h", "24h", "7d", "own"] as const;
export type Preset = (typeof presets)[number];
const sizes: Partial<Record<Preset, number>> = { "15m": 900_000, "1h": 3_600_000, "24h": 86_400_000, "7d": 604_800_000 };

/** From when on; "" for no limit. Rounded to the minute, so that it does not change with every look. */
export function sinceOf(preset: string, own: string, now: number): string {
  const size = sizes[preset as Preset];
  if (size !== undefined) return new Date(Math.floor((now - size) / 60_000) * 60_000).toISOString();
  return preset === "own" ? instant(own) : "";
}

/** A local time of an input as the API takes it. */
export function instant(local: string): string {
  const ms = Date.parse(local);
  return Number.isNaN(ms) ? "" : new Date(ms).toISOString();
}
