// How old the oldest event is, in the largest unit only: tiles and columns are narrow.
import { fmt } from "$lib/fmt.svelte";
import { parseDuration } from "$lib/time";

export function shortAge(age: string): string {
  const ms = parseDuration(age) ?? 0;
  const unit = [86_400_000, 3_600_000, 60_000, 1000].find((u) => ms >= u) ?? 1;
  return fmt.duration(Math.floor(ms / unit) * unit);
}
