// Commands to copy: what the page shows, from a terminal.
import { absolute } from "$lib/api";
import { apiCurl } from "$lib/curl";
import { againBody } from "./request";

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
