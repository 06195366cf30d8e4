// Follows a log with the JavaScript client and prints the version of each event, a line each:
//
//   node client-live.mjs websocket|sse|poll|any|tokens URL KEY UNTIL
//
// URL is the server's. With "tokens" it lets itself in with tokens that live for two seconds. What is missing or double is for the
// reader of the lines to find.
import WebSocket from "ws";
import { Posthorn } from "../../web/client/posthorn.js";

const [kind, url, key, until] = process.argv.slice(2);
const tenant = "acme";

/** Makes a token as a page's backend would. A failure is passed on, which the client takes for a reason to try again. */
async function getToken() {
  const response = await fetch(`${url}/v1/tenants/${tenant}/tokens`, {
    method: "POST", headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" }, body: JSON.stringify({ allow: ["read"], ttl: "2s" }),
  });
  if (!response.ok) throw new Error(`no token: ${response.status}`);
  return (await response.json()).token;
}

const client = new Posthorn({
  url, tenant, ...(kind === "tokens" ? { getToken } : { key }), transports: ["websocket", "sse", "poll"].includes(kind) ? [kind] : undefined,
  backoff: { min: 20, max: 500 }, connectTimeout: 2000, retryBetterAfter: 1200,
  openSocket: (address, protocols, headers) => new WebSocket(address, protocols, { headers }),
});
const used = new Set();
client.addEventListener("state", ({ detail }) => detail.state === "open" && used.add(detail.transport));

const sub = client.subscribe({ start: 1, window: 64 }, async (event) => {
  if (event.version % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 5)); // a consumer that is slow at times
  process.stdout.write(`${event.version}\n`);
  if (event.version >= Number(until)) client.close();
});
try {
  await sub.done;
} catch (error) {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
}
process.stderr.write(`used ${[...used].join(", ")}\n`);
