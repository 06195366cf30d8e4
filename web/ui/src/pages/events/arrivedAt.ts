import type { Attempt } from "$api";

/** The try that delivered first, and how many followed it: what is sent again counts from its first try anew. */
export function arrivedAt(attempts: readonly Pick<Attempt, "verdict" | "number">[]): { number?: number; since: number } {
  const first = attempts.findIndex((a) => a.verdict === "delivered");
  return first < 0 ? { since: 0 } : { number: attempts[first]?.number, since: attempts.length - first - 1 };
}
