// The bodies of commands: pure.
import type { Outgoing } from "$api";
import { curl, quote } from "$lib/curl";
import { parse } from "$lib/json";

/** The text of an event without its id, version, time and origin. */
export function againBody(event: string): string {
  const root = parse(event);
  if (root.kind !== "object") return event;
  const kept = root.members.filter((m) => !["id", "version", "time", "origin"].includes(m.key));
  return `{${kept.map((m) => `${JSON.stringify(m.key)}:${event.slice(m.node.start, m.node.end)}`).join(",")}}`;
}

/** The very request that an endpoint gets. Bodies that are no text go through base64. */
export function requestCurl(request: Outgoing): string {
  const headers = (request.headers ?? []).map((h): [string, string] => [h.name, h.value]);
  const method = request.method;
  if (!request.base64) return curl({ method, url: request.url, headers, body: request.body ?? "" });
  return `printf %s ${quote(request.body ?? "")} | base64 -d | ${curl({ method, url: request.url, headers })} \\\n  --data-binary @-`;
}
