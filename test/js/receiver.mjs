// A receiver that verifies with the npm package standardwebhooks. It prints its port, reads the signing secret from
// its input, then prints what it takes, one JSON object a line, until its input ends.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Webhook } from "standardwebhooks";

let webhook;

const print = (value) => process.stdout.write(JSON.stringify(value) + "\n");

const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks).toString("utf8");
    try {
      const event = webhook.verify(body, request.headers);
      print({ id: request.headers["webhook-id"], type: event.type, data: event.data });
      response.writeHead(204).end();
    } catch (error) {
      print({ id: request.headers["webhook-id"], error: error.message });
      response.writeHead(400).end();
    }
  });
});

server.listen(0, "127.0.0.1", () => print({ port: server.address().port }));

const input = createInterface({ input: process.stdin });
input.on("line", (secret) => {
  webhook = new Webhook(secret);
  print({ ready: true });
});
input.on("close", () => process.exit(0));
