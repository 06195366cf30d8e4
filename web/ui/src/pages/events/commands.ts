// Commands to copy: what the page shows, from a terminal.
import type { Outgoing } from "$api";
import { absolute } from "$lib/api";
import { apiCurl, curl, quote } from "$lib/curl";
import { parse } from "$lib/json";

const EVENTS = "/v1/tenants/{tenant}/events";

/** The command that publishes a first event. */
export function publishCurl(tenant: string, type = "order.paid", data = '{"order":42,"total":129.5}'): string {
  return apiCurl("POST", absolute(EVENTS, { tenant }), `{"type":${JSON.stringify(type)},"subject":"order/42","data":${data}}`);
}

export function readCurl(tenant: string, event: string, part = ""): string {
  return apiCurl("GET", absolute(`${EVENTS}/{event}${part}`, { tenant, event }));
}

export function resendCurl(tenant: string, event: string, endpoint?: string): string {
  return apiCurl("POST", absolute(`${EVENTS}/{event}/resend`, { tenant, event }), endpoint ? { endpoint } : {});
}

/** Publishes an event as a new one: all of it, byte for byte, but what is given by the server. */
export function againCurl(tenant: string, event: string): string {
  return apiCurl("POST", absolute(EVENTS, { tenant }), againBody(event));
}

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
