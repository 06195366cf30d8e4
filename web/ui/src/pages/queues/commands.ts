// What a worker does, as commands to copy: pure.
import { quote } from "$lib/curl";

/** One lease and its ack, and the whole worker on one line. */
export function workCommands(origin: string, tenant: string, queue: string): string {
  const url = `${origin}/v1/tenants/${encodeURIComponent(tenant)}/queues/${encodeURIComponent(queue)}`;
  return [
    `export POSTHORN_SERVER=${quote(origin)} POSTHORN_TENANT=${quote(tenant)}`,
    "# a worker: for each event it runs a command, which gets the event on its standard input",
    `posthorn queue work ${quote(queue)} --exec 'cat'`,
    "",
    "# the same by hand: lease, work, ack",
    `curl -fsS ${quote(`${url}/lease`)} -H "Authorization: Bearer $POSTHORN_KEY" \\`,
    `  -H 'Content-Type: application/json' -d '{"max": 1, "wait": "20s"}' >lease.json`,
    `curl -fsS ${quote(`${url}/ack`)} -H "Authorization: Bearer $POSTHORN_KEY" \\`,
    `  -H 'Content-Type: application/json' -d "{\\"receipts\\": [$(jq -c '.events[0].receipt' lease.json)]}"`,
  ].join("\n");
}
