/**
 * The client of Posthorn for browsers and Node.js: publish, read the log, follow it over WebSocket, server-sent events or long poll,
 * lease from queues. Types and words are in posthorn.d.ts.
 *
 * The way through: a Subscription (lib/subscription.js) is a place in the log. It chooses a transport (lib/ways.js), which connects
 * (lib/socket.js, lib/stream.js, lib/poll.js) and brings events from that place on, until it ends and the next one goes on.
 */
export { Posthorn } from "./lib/client.js";
export { PosthornError } from "./lib/errors.js";
export { Queue } from "./lib/queue.js";
export { Subscription } from "./lib/subscription.js";
