// Where an event arrived, in one mark: pure.
import type { Delivery } from "$api";
import { unsettled } from "./pace";

/** The word that says the most: what went wrong before what is still to come before what went well. */
export type ArrivalState = "failed" | "gone" | "retrying" | "waiting" | "pending" | "delivered" | "unknown" | "nobody";

export interface Arrival {
  state: ArrivalState;
  /** Endpoints that it is for, and those that have it. Of which nothing is known any more are in neither. */
  all: number;
  delivered: number;
  /** There are more endpoints than were looked at. */
  more: boolean;
  /** Something may still change by itself. What failed may be resent, too: the event's own page shows that. */
  open: boolean;
}

const order: readonly Delivery["state"][] = ["failed", "gone", "retrying", "waiting", "pending", "delivered"];

/** Of an event that the server has no more. */
export const lost: Arrival = { state: "unknown", all: 0, delivered: 0, more: false, open: false };

/** What the deliveries of an event come to. */
export function summed(list: readonly Delivery[], more: boolean): Arrival {
  const known = list.filter((d) => d.state !== "none");
  const worst = order.find((state) => known.some((d) => d.state === state || (state === "pending" && d.in_flight === true)));
  return {
    state: (worst as ArrivalState | undefined) ?? (list.length > 0 ? "unknown" : "nobody"),
    all: known.length,
    delivered: known.filter((d) => d.state === "delivered").length,
    more,
    open: known.some(unsettled),
  };
}
