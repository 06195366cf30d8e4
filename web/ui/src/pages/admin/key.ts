// An API key in words.
import type { ApiKey } from "$api";
import { fmt } from "$lib/fmt.svelte";
import { maybe } from "$lib/i18n.svelte";

/** What it may do: "publish events and read". manage includes read. */
export function mayText(key: ApiKey): string {
  const allow = key.allow ?? [];
  const told = allow.includes("manage") ? allow.filter((p) => p !== "read") : allow;
  return fmt.list(told.map((p) => maybe(`admin.may.${p}`, p)));
}

/** Whether it has ended, or ends within a week. */
export function keyState(key: ApiKey, now: number): "expired" | "soon" | "good" {
  if (!key.expires) return "good";
  const left = Date.parse(key.expires) - now;
  return left <= 0 ? "expired" : left < 7 * 86_400_000 ? "soon" : "good";
}
