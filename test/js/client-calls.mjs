// Calls a server with the JavaScript client: node client-calls.mjs URL TENANT KEY. It checks what it can and prints how much it did.
import assert from "node:assert/strict";
import WebSocket from "ws";
import { Posthorn, PosthornError } from "../../web/client/posthorn.js";

const [url, tenant, key] = process.argv.slice(2);
const openSocket = (address, protocols, headers) => new WebSocket(address, protocols, { headers });
const client = new Posthorn({ url, tenant, key, openSocket });

const one = await client.publish({ id: "a", type: "order.paid", subject: "order/1", data: { total: "10.00" } });
assert.deepEqual(one, { id: "a", version: 1, duplicate: false });
assert.deepEqual(await client.publish({ id: "a", type: "order.paid", subject: "order/1", data: { total: "10.00" } }), { ...one, duplicate: true });
const two = await client.publish([{ type: "order.paid", subject: "order/2" }, { type: "user.made", subject: "user/1" }]);
assert.deepEqual(two.map((p) => p.version), [2, 3]);
const sub = client.subscribe({ transports: ["websocket"] });
await sub.ready;
const three = await client.publish({ type: "order.paid", subject: "order/3", data: "über" }); // over the WebSocket
const { value } = await sub[Symbol.asyncIterator]().next();
assert.deepEqual([value.id, value.version, value.data], [three.id, 4, "über"]);
sub.close();

const page = await client.changes({ start: 1, limit: 10 });
assert.deepEqual([page.next, page.head], [5, 4]);
const narrow = await client.changes({ types: ["order.*"], subjects: ["order/1", "order/2*"] });
assert.deepEqual(narrow.changes.map((e) => e.version), [1, 2]);
await assert.rejects(client.changes({ filter: "(" }), (e) => e instanceof PosthornError && e.status === 422 && e.code === "invalid");
await assert.rejects(client.subscribe({ filter: "(" }).done, { status: 422 });
await assert.rejects(client.publish({ type: "" }), { status: 422 });
await assert.rejects(new Posthorn({ url, tenant: "nobody", key, openSocket }).subscribe({ start: 1 }).done, { status: 404 });
await assert.rejects(new Posthorn({ url, tenant, key: "wrong", openSocket }).subscribe({ start: 1 }).done, { status: 401 });

// Queues are made by the API; the client only works on them.
const made = await fetch(`${url}/v1/tenants/${tenant}/queues/work`, {
  method: "PUT", headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" }, body: JSON.stringify({ types: ["order.*"], start: 1 }),
});
assert.ok(made.ok, `the queue was not made: ${made.status}`);
const queue = client.queue("work");
const leases = await queue.lease({ max: 10, visibility: "30s" });
const settled = await queue.ack(leases.slice(0, 2));
assert.deepEqual(settled.errors, []);
assert.ok((await queue.extend(leases[2], { visibility: "60s" })).expires);
await queue.nack(leases[2]);
const again = await queue.lease({ max: 10, wait: "5s" });
assert.deepEqual(again.map((l) => [l.event.version, l.deliveries]), [[4, 2]]);
assert.equal((await queue.ack(leases[0])).errors[0].code, "lease_lost");
client.close();

process.stdout.write(JSON.stringify({ published: three.version, changed: page.changes.length, leased: leases.length, settled: settled.done }));
