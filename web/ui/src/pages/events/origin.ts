// Where an event came from.
import type { Event } from "$api";

/** The name of the source by which an event came in, from the address that was called: /in/{tenant}/{source}. */
export function sourceOf(event: Event, tenant: string): string | undefined {
  const url = event.origin?.url;
  if (!url) return undefined;
  try {
    const parts = new URL(url, "http://posthorn.invalid").pathname.split("/");
    const at = parts.indexOf("in");
    return at >= 0 && decodeURIComponent(parts[at + 1] ?? "") === tenant && parts[at + 2] ? decodeURIComponent(parts[at + 2] ?? "") : undefined;
  } catch {
    return undefined;
  }
}
