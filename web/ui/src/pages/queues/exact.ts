// The text of a value inside an answer, with the digits as they were sent: pure.
import { parse, type JsonNode } from "$lib/json";

/** exact(text, "events", 0, "event", "data"); undefined if there is no such value. */
export function exact(text: string, ...path: (string | number)[]): string | undefined {
  let node: JsonNode | undefined;
  try {
    node = parse(text);
  } catch {
    return undefined;
  }
  for (const step of path) {
    if (typeof step === "number") node = node?.kind === "array" ? node.items[step] : undefined;
    else node = node?.kind === "object" ? node.members.find((m) => m.key === step)?.node : undefined;
  }
  return node && text.slice(node.start, node.end);
}
