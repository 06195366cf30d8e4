// How to listen, as commands to copy: pure.
import { quote } from "$lib/curl";

export type Way = "curl" | "cli" | "socket";
export const ways: readonly Way[] = ["curl", "cli", "socket"];

/** The command of a way, with this server's address and the tenant in it. */
export function command(way: Way, origin: string, tenant: string): string {
  const base = `${origin}/v1/tenants/${encodeURIComponent(tenant)}`;
  switch (way) {
    case "curl":
      return `curl -N -H "Authorization: Bearer $POSTHORN_KEY" \\\n  ${quote(`${base}/stream?start=1`)}`;
    case "cli":
      return `export POSTHORN_SERVER=${quote(origin)} POSTHORN_TENANT=${quote(tenant)}\nposthorn tail                # shows events as they come\nposthorn listen 3000         # sends them to a program on this computer`;
    case "socket":
      return [
        `const socket = new WebSocket(${JSON.stringify(`${base.replace(/^http/, "ws")}/socket?access_token=`)} + token);`,
        'socket.onopen = () => socket.send(JSON.stringify({ type: "subscribe", id: "all", start: 1 }));',
        "socket.onmessage = (message) => console.log(JSON.parse(message.data));",
      ].join("\n");
  }
}
