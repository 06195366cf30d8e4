// Listens with the browser's own EventSource and WebSocket, in a page of the server: node native-listeners.mjs URL TENANT TOKEN. It
// prints {"ready":true} when both listen, and for each number that it reads the versions that each has got, once it has that one.
import { createInterface } from "node:readline";
import { launch, until } from "./chromium.mjs";

const [url, tenant, token] = process.argv.slice(2);
const print = (value) => process.stdout.write(JSON.stringify(value) + "\n");

const browser = await launch();
const page = await browser.newPage();
await page.goto(`${url}/docs`);
await page.evaluate(listen, { path: `/v1/tenants/${tenant}`, token });
await until(page, () => globalThis.got.opened.source && globalThis.got.opened.socket);
print({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  await until(page, (last) => globalThis.got.source.at(-1) >= last && globalThis.got.socket.at(-1) >= last, Number(line));
  print(await page.evaluate(() => globalThis.got));
}
await browser.close();

/** Runs in the page. */
function listen({ path, token }) {
  const got = (globalThis.got = { source: [], socket: [], opened: { source: 0, socket: 0 } });
  const source = new EventSource(`${path}/stream?event=none&access_token=${token}`);
  source.onopen = () => got.opened.source++;
  source.onmessage = ({ data }) => got.source.push(JSON.parse(data).version);
  let next;
  const connect = () => {
    const socket = new WebSocket(`${location.origin.replace("http", "ws")}${path}/socket?access_token=${token}`, "posthorn.v1.json");
    socket.onopen = () => socket.send(JSON.stringify({ type: "subscribe", id: "a", start: next }));
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === "subscribed") got.opened.socket++;
      if (message.type === "subscribed") next ??= message.next;
      if (message.type !== "event") return;
      got.socket.push(message.event.version);
      next = message.event.version + 1;
    };
    socket.onclose = () => setTimeout(connect, 100);
  };
  connect();
}
