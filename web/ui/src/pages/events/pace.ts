// When to look again where an event is: pure.
import type { Delivery } from "$api";

/** Whether the state of a delivery may change by itself. */
export function unsettled(d: Delivery): boolean {
  return d.in_flight === true || d.state === "pending" || d.state === "retrying" || d.state === "waiting";
}

/** How long to wait for the next look, ms; undefined: no look is needed. */
export function pace(deliveries: readonly Delivery[], looks: number, now: number): number | undefined {
  const open = deliveries.filter(unsettled);
  if (open.length === 0) return undefined;
  const soon = open.some((d) => d.in_flight || d.state === "pending" || (d.next_at !== undefined && new Date(d.next_at).getTime() - now < 15_000));
  return soon && looks < 60 ? 2000 : looks < 20 ? 5000 : 15_000;
}
