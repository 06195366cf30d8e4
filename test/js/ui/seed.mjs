// A server with something to see: tenants, a catalogue, endpoints in every state, events, queues, sources, bins, listeners.
import { createHmac } from "node:crypto";
import { WebSocket } from "ws";
import { until } from "./harness.mjs";

const T = "/v1/tenants/acme";

/** Makes all of it, and waits until each endpoint is in its state. Returns what the flows need to name. */
export async function seed(ui) {
  await tenants(ui);
  await catalogue(ui);
  const endpoints = await makeEndpoints(ui);
  const events = await publish(ui);
  const [queues, sources, bins, keys] = [await makeQueues(ui), await makeSources(ui), await makeBins(ui), await makeKeys(ui)];
  await endpointStates(ui, endpoints, events);
  return { endpoints, events, queues, sources, bins, keys };
}

/** A tenant, and another one that must never be seen with it. */
export async function tenants(ui) {
  await ui.api("POST", "/v1/tenants", { name: "acme", description: "Acme Ltd, production" });
  await ui.api("POST", "/v1/tenants", { name: "globex", description: "Globex, trial", publish_rate: 50, max_endpoints: 10 });
}

export async function catalogue(ui) {
  const order = { type: "object", required: ["order", "total"], properties: { order: { type: "string" }, total: { type: "string", pattern: "^[0-9]+\\.[0-9]{2}$" }, currency: { enum: ["EUR", "CZK"] } } };
  const types = [
    { name: "order.paid", description: "An order was paid in full", schema: order, examples: [{ order: "1042", total: "1290.00", currency: "CZK" }] },
    { name: "order.created", description: "A customer placed an order", examples: [{ order: "1042", items: [{ sku: "A-1", count: 2 }] }] },
    { name: "order.cancelled", description: "An order was cancelled by the customer or by us" },
    { name: "invoice.issued", description: "An invoice got its number", examples: [{ invoice: "2026-0017", total: "1290.00" }] },
    { name: "customer.updated", description: "An address, a name or consents changed" },
  ];
  for (const type of types) await ui.api("POST", `${T}/event-types`, type);
}

/** One endpoint for each state that there is to see. */
async function makeEndpoints(ui) {
  const good = await ui.receiver((r) => ({ body: `{"received":true,"path":${JSON.stringify(r.path)}}`, headers: { "Content-Type": "application/json" } }));
  const failing = await ui.receiver(() => ({ status: 500, body: "<h1>Internal error</h1>", headers: { "Content-Type": "text/html" } }));
  const gone = await ui.receiver(() => ({ status: 410, body: "gone" }));
  const make = (e) => ui.api("POST", `${T}/endpoints`, { timeout: "5s", ...e });
  return {
    receiver: good,
    shop: await make({ url: `${good.url}/shop`, description: "Shop: orders", types: ["order.*"] }),
    invoices: await make({ url: `${good.url}/invoices`, description: "Accounting", types: ["invoice.issued", "order.paid"], headers: { "X-Team": "accounting" }, order: "key" }),
    large: await make({ url: `${good.url}/large`, description: "Large orders only", filter: 'event.type == "order.paid" && double(data.total) > 1000.0' }),
    failing: await make({ url: `${failing.url}/hook`, description: "CRM", types: ["order.*", "customer.updated"], retries: ["1s", "1h"] }),
    dead: await make({ url: "http://127.0.0.1:9/hook", description: "Nobody listens here", types: ["invoice.issued"] }),
    gone: await make({ url: `${gone.url}/old`, description: "Taken down last year", types: ["customer.updated"] }),
    paused: await make({ url: `${good.url}/paused`, description: "Warehouse, in maintenance", types: ["order.created"] }),
  };
}

async function publish(ui) {
  const endpoints = await ui.api("GET", `${T}/endpoints`);
  await ui.api("POST", `${T}/endpoints/${endpoints.data.find((e) => e.url.endsWith("/paused")).id}/pause`);
  const list = [];
  const customers = ["Ada Lovelace", "Jan Novák", "Jürgen Müller", "山田太郎"];
  for (let n = 0; n < 48; n++) {
    const order = `10${String(n).padStart(2, "0")}`;
    const type = ["order.created", "order.paid", "invoice.issued", "customer.updated", "order.cancelled"][n % 5];
    const customer = customers[n % customers.length];
    const data = type === "customer.updated" ? { customer, consents: { mail: true, post: n % 2 === 0 }, addresses: [{ city: "Brno", zip: "60200" }] } : { order, total: `${n * 61}.00`, currency: "CZK", customer };
    list.push({ id: `seed-${n}`, source: "/shop", type, subject: type.startsWith("customer") ? `customer/${n % 4}` : `order/${order}`, data });
  }
  await ui.api("POST", `${T}/events`, list);
  return list;
}

async function makeQueues(ui) {
  await ui.api("PUT", `${T}/queues/billing`, { types: ["order.paid"], description: "What the billing worker takes", visibility: "10m", max_deliveries: 1, start: 1 });
  await ui.api("PUT", `${T}/queues/reports`, { description: "Nightly reports", start: 1 });
  const { data: first } = await lease(ui, 2);
  await ui.api("POST", `${T}/queues/billing/nack`, { receipts: first.map((e) => e.receipt), delay: "0s" }); // their only try: dead letters
  await lease(ui, 3);
  await until("the dead letters are there", async () => (await ui.api("GET", `${T}/queues/billing`)).state.dead === 2);
  return ["billing", "reports"];
}

async function lease(ui, max) {
  const got = await ui.api("POST", `${T}/queues/billing/lease`, { max });
  return { data: got.data ?? got.events ?? got.leases };
}

async function makeSources(ui) {
  const secret = "a-secret-that-github-knows-too";
  await ui.api("POST", `${T}/sources`, { name: "github", provider: "github", secrets: [secret], description: "Pushes of our repositories", inspect: "all" });
  await ui.api("POST", `${T}/sources`, { name: "leads", provider: "token", secrets: ["a-long-random-token"], settings: { query: "token" }, description: "The form on the web", dedupe: "body" });
  const body = JSON.stringify({ ref: "refs/heads/main", repository: { full_name: "octo/hello" } });
  const signature = createHmac("sha256", secret).update(body).digest("hex");
  const headers = { "Content-Type": "application/json", "X-GitHub-Event": "push" };
  const post = (id, signed) => fetch(`${ui.base}/in/acme/github`, { method: "POST", body, headers: { ...headers, "X-GitHub-Delivery": id, "X-Hub-Signature-256": `sha256=${signed}` } });
  await post("72d3162e-cc78-11e3-81ab-4c9367dc0958", signature);
  await post("72d3162e-cc78-11e3-81ab-4c9367dc0959", "0".repeat(64));
  await fetch(`${ui.base}/in/acme/leads?token=a-long-random-token`, { method: "POST", body: new URLSearchParams({ Name: "Ann", Email: "ann@example.com" }) });
  return ["github", "leads"];
}

async function makeBins(ui) {
  const bin = await ui.api("POST", "/v1/bins", { tenant: "acme", description: "Trying a payment gateway", answer: { status: 200, headers: { "Content-Type": "application/json" }, body: '{"ok":true}' } });
  await fetch(`${bin.url}/pay?amount=100&currency=CZK`, { method: "POST", headers: { "Content-Type": "application/json", "X-Signature": "sha256=abc" }, body: '{"payment":{"id":"p-1","amount":"100.00"}}' });
  await fetch(`${bin.url}/form`, { method: "PUT", body: new URLSearchParams({ name: "Jürgen", note: "a b" }) });
  const form = new FormData();
  form.append("title", "An invoice");
  form.append("file", new Blob(["%PDF-1.4 not really"], { type: "application/pdf" }), "invoice.pdf");
  await fetch(`${bin.url}/upload`, { method: "POST", body: form });
  await fetch(`${bin.url}/?x=1`);
  return [bin];
}

async function makeKeys(ui) {
  const make = (key) => ui.api("POST", "/v1/apikeys", key);
  return {
    shop: await make({ name: "Shop backend", tenant: "acme", allow: ["publish"] }),
    support: await make({ name: "Support, reading", tenant: "acme", allow: ["read"] }),
    manager: await make({ name: "Acme manager", tenant: "acme", allow: ["read", "manage", "publish"] }),
    admin: await make({ name: "Second administrator", admin: true }),
  };
}

/** Waits until the lanes show what their endpoints do. */
async function endpointStates(ui, { failing, dead, gone, shop }, events) {
  const orders = events.filter((e) => e.type.startsWith("order.")).length;
  const lane = async (e) => (await ui.api("GET", `${T}/endpoints/${e.id}`)).state;
  await until("the refused endpoint is penalised", async () => (await lane(dead)).lane === "waiting");
  await until("the gone endpoint is disabled", async () => (await ui.api("GET", `${T}/endpoints/${gone.id}`)).disabled);
  await until("the failing endpoint has failed", async () => (await lane(failing)).last_attempt !== undefined);
  await until("the good endpoint has got all", async () => ((await ui.api("GET", `${T}/endpoints/${shop.id}/attempts?limit=100`)).data ?? []).filter((a) => a.verdict === "delivered").length >= orders);
}

/** Listeners that stay connected until the flow ends: a WebSocket and an SSE stream. */
export async function listeners(ui, key) {
  const socket = new WebSocket(`${ui.base.replace(/^http/, "ws")}${T}/socket`, { headers: { Authorization: `Bearer ${key}`, "User-Agent": "posthorn-app/2.1" } });
  socket.on("error", () => {});
  const end = new AbortController();
  ui.closers.push(() => (socket.terminate(), end.abort()));
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  socket.send(JSON.stringify({ type: "subscribe", id: "orders", types: ["order.*"], start: 1 }));
  const sse = await fetch(`${ui.base}${T}/stream`, { headers: { Authorization: `Bearer ${key}`, "User-Agent": "dashboard/7" }, signal: end.signal });
  (async () => { for await (const _ of sse.body); })().catch(() => {});
  return { socket, sse };
}
