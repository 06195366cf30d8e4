// What the page is let in with, and which run of the demo it belongs to.
import { Posthorn } from "/client/posthorn.js";

/** @type {{ tenant: string, token: string, instance: string } | undefined} */
let current;

/** Asks for a token. When another demo runs at this address by now, its log is another one: the page begins anew. */
async function session() {
  const response = await fetch("/demo/session", { cache: "no-store" });
  if (!response.ok) throw new Error(`no session: ${response.status}`);
  const next = await response.json();
  if (current && next.instance !== current.instance) location.reload();
  current = next;
  return next;
}

export const { tenant } = await session();

/** A client that uses the transports named, or any. */
export function connect(...transports) {
  let first = current?.token;
  const getToken = async () => {
    const token = first ?? (await session()).token;
    first = undefined;
    return token;
  };
  return new Posthorn({
    tenant, getToken, transports: transports.length ? transports : undefined, keepAlive: 5_000, retryBetterAfter: 10_000, backoff: { min: 250, max: 2_000 },
  });
}

/** Tells this page's events from those of others. */
export const page = Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, "0")).join("");

export const names = { webhook: "Webhook", websocket: "WebSocket", sse: "Server-sent events", poll: "Long poll", stored: "Stored" };

/** Milliseconds for people, in a number and its unit. */
export function shown(ms) {
  if (ms === undefined) return ["–", ""];
  if (ms < 10) return [ms.toFixed(1), "ms"];
  if (ms < 1000) return [ms.toFixed(0), "ms"];
  return [(ms / 1000).toFixed(1), "s"];
}

/** An element with attributes and children. */
export function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "g", "line", "text", "polyline"].includes(tag);
  const e = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  e.append(...children);
  return e;
}
