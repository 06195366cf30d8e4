// The filters of the events list, as they are in the address.
import { query } from "$lib/router.svelte";
import type { Criteria } from "./feed.svelte";
import { presetSince, understand } from "./search";

export const presets = ["15m", "1h", "24h", "7d"] as const;

export type Filter = ReturnType<typeof filters>;

/** Call it while the component is set up. */
export function filters() {
  return query({ q: "", types: [] as string[], subject: "", filter: "", range: "", since: "", until: "", publish: "" });
}

export function criteriaOf(tenant: string, f: Filter): Criteria {
  const preset = presetSince(f.range, Date.now());
  return {
    tenant,
    search: understand(f.q),
    types: f.types,
    subjects: f.subject.split(",").map((s) => s.trim()).filter(Boolean),
    filter: f.filter.trim(),
    since: f.since || (preset === undefined ? "" : new Date(preset).toISOString()),
    until: f.until,
  };
}

/** Whether anything but the time is asked for. */
export function narrowed(f: Filter): boolean {
  return f.q !== "" || f.types.length > 0 || f.subject !== "" || f.filter !== "";
}

export function timed(f: Filter): boolean {
  return f.range !== "" || f.since !== "" || f.until !== "";
}

export function clearTime(f: Filter): void {
  f.range = f.since = f.until = "";
}

export function clearAll(f: Filter): void {
  f.q = f.subject = f.filter = "";
  f.types = [];
  clearTime(f);
}
