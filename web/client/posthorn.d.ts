/** How events reach a subscription, best first. */
export type Transport = "websocket" | "sse" | "poll";

/** What happens to a subscription. `waiting` comes before each pause after a failure. */
export type State = "connecting" | "open" | "waiting" | "closed";

/** An event as it is read from the log. */
export interface PosthornEvent<Data = unknown> {
  id: string;
  source?: string;
  type: string;
  subject?: string;
  /** RFC 3339. */
  time: string;
  datacontenttype?: string;
  dataschema?: string;
  key?: string;
  channels?: string[];
  /** The data, when it is JSON. */
  data?: Data;
  /** The data in base64, when it is not JSON. */
  data_base64?: string;
  /** The event's number in the log: 1, 2, 3 … without gaps. */
  version: number;
}

/** An event to publish. Without an `id` the client makes one, so that a repeated try does not publish it twice. */
export interface NewEvent<Data = unknown> {
  type: string;
  id?: string;
  source?: string;
  subject?: string;
  time?: string;
  datacontenttype?: string;
  dataschema?: string;
  key?: string;
  channels?: string[];
  data?: Data;
  data_base64?: string;
}

/** What became of a published event. `duplicate` is true when an event of that id was there already. */
export interface Published {
  id: string;
  version: number;
  duplicate: boolean;
}

/** Narrows what is read. What is left out selects everything. */
export interface Selection {
  /** Patterns of event types: `order.paid`, `order.*`, `order.**`. */
  types?: readonly string[];
  /** Subjects; one that ends in `*` means every subject that begins so. */
  subjects?: readonly string[];
  /** A CEL expression over the event. */
  filter?: string;
}

export interface ChangesOptions extends Selection {
  /** The first version wanted; the oldest one kept when absent. */
  start?: number;
  /** 1 to 1000; 100 when absent. */
  limit?: number;
  /** How long to wait for something to come, in seconds, at most 60. */
  wait?: number;
  signal?: AbortSignal;
}

/** A page of the log. Ask again with `start` = `next`. */
export interface Changes<Data = unknown> {
  changes: PosthornEvent<Data>[];
  next: number;
  head: number;
}

export interface SubscribeOptions extends Selection {
  /** The first version wanted; what comes from now on when absent. */
  start?: number;
  /** How many events may wait for a slow consumer, 1 to 10000; 256 when absent. More stay on the server. */
  window?: number;
  /** Which transports this subscription may use; those of the client when absent. */
  transports?: readonly Transport[];
  /** What to do when `start` is older than what the server keeps: end with an error, or go on with the oldest kept. */
  gone?: "error" | "oldest";
  /** Ends the subscription. */
  signal?: AbortSignal;
  /** Is told what happens to the connection. */
  onState?: (change: StateChange) => void;
  /** Is told why the subscription ended, unless it was closed or is iterated. */
  onError?: (error: Error) => void;
}

/** Is given one event after the other; the next one comes when a returned promise has been settled. */
export type EventHandler<Data = unknown> = (event: PosthornEvent<Data>, subscription: Subscription<Data>) => unknown;

export interface StateChange {
  subscription: Subscription<any>;
  state: State;
  transport?: Transport;
  /** Why it waits or was closed. */
  error?: Error;
  /** In how many milliseconds it is tried again. */
  retryIn?: number;
}

/**
 * A place in the log that moves on. Every event selected is given once and in version order, whatever happens to connections.
 * Without a handler it is an async iterator, for one reader.
 */
export class Subscription<Data = unknown> implements AsyncIterable<PosthornEvent<Data>> {
  private constructor();
  /** Resolves when the place in the log is known: what is published after that will be given. Rejects when it ends before. */
  readonly ready: Promise<void>;
  /** Resolves when the subscription was closed; rejects with what ended it otherwise. */
  readonly done: Promise<void>;
  readonly state: State;
  /** The one in use, or tried last. */
  readonly transport: Transport | undefined;
  /** The last version that was handled; keep it to go on with `start: version + 1` another day. */
  readonly version: number | undefined;
  /** Ends the subscription; events that were not handled stay on the server. */
  close(): void;
  [Symbol.asyncIterator](): AsyncIterator<PosthornEvent<Data>, undefined>;
}

export interface PosthornOptions {
  /** The server's address. In a browser it may be left out: the page's own origin. */
  url?: string | URL;
  tenant: string;
  /** A token, which ends; see `getToken`. */
  token?: string;
  /** An API key. Never in a page: it does not end, and whoever sees the page sees it. */
  key?: string;
  /** Makes a token. It is called when one is needed, and again when the server refuses it or it has expired. */
  getToken?: () => string | Promise<string>;
  /** Which transports may be used; all, best first, when absent. */
  transports?: readonly Transport[];
  /** The server's `stream-keep-alive` in milliseconds; 15000 when absent. A connection silent for three of them is dead. */
  keepAlive?: number;
  /** How long a connection may take to open, in milliseconds; 10000 when absent. */
  connectTimeout?: number;
  /**
   * After how long a better transport that failed is tried again, in milliseconds; 60000 when absent. It doubles, up to ten minutes.
   * One that has worked before is tried again after a twelfth of it.
   */
  retryBetterAfter?: number;
  /** The shortest and longest pause between two tries, in milliseconds; 500 and 30000 when absent. */
  backoff?: { min?: number; max?: number };
  /** `fetch`, when the global one is not to be used. */
  fetch?: typeof globalThis.fetch;
  /**
   * Opens a WebSocket where there is no global one (Node before 22), or where headers are to be sent:
   * `(url, protocols, headers) => new WebSocket(url, protocols, { headers })` with the package ws.
   */
  openSocket?: (url: string, protocols: string[], headers: Record<string, string>) => WebSocket;
}

export interface PublishOptions {
  /** Makes the whole publish repeatable under this key, instead of by the events' ids. */
  idempotencyKey?: string;
  /** Over HTTP only; by default an open WebSocket is used when there is one. */
  overHTTP?: boolean;
  /** For how long it is tried, in milliseconds; 30000 when absent. */
  timeout?: number;
  signal?: AbortSignal;
}

/** The client of one tenant. It dispatches `state` events (CustomEvent, `detail` is a {@link StateChange}). */
export class Posthorn extends EventTarget {
  constructor(options: PosthornOptions);
  /** The transport that a subscription opened last. */
  readonly transport: Transport | undefined;
  /** Publishes one event or up to 1000. It is tried again when the connection breaks, and is published once. */
  publish(event: NewEvent, options?: PublishOptions): Promise<Published>;
  publish(events: readonly NewEvent[], options?: PublishOptions): Promise<Published[]>;
  /** Reads a page of the log. */
  changes<Data = unknown>(options?: ChangesOptions): Promise<Changes<Data>>;
  /** Follows the log. With a handler it starts at once to call it; without one, iterate over what is returned. */
  subscribe<Data = unknown>(options?: SubscribeOptions, onEvent?: EventHandler<Data>): Subscription<Data>;
  queue<Data = unknown>(name: string): Queue<Data>;
  /** Ends every subscription and connection. */
  close(): void;
  addEventListener(type: "state", listener: ((event: CustomEvent<StateChange>) => void) | null, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
  removeEventListener(type: "state", listener: ((event: CustomEvent<StateChange>) => void) | null, options?: boolean | EventListenerOptions): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions): void;
}

/** An event that this consumer has for a while. */
export interface Lease<Data = unknown> {
  receipt: string;
  event: PosthornEvent<Data>;
  /** How often it has been leased, this time included. */
  deliveries: number;
  /** RFC 3339. */
  expires: string;
}

/** What became of receipts. Those in `errors` were not taken, such as with the code `lease_lost`. */
export interface Settled {
  done: number;
  errors: { receipt: string; code: string; detail: string }[];
  /** After `extend`: when the leases end. */
  expires?: string;
}

/** A named queue: each event goes to one consumer at a time. Times are durations such as `"30s"`. */
export class Queue<Data = unknown> {
  private constructor();
  readonly name: string;
  lease(options?: { max?: number; wait?: string; visibility?: string; signal?: AbortSignal }): Promise<Lease<Data>[]>;
  ack(leases: Leases<Data>): Promise<Settled>;
  nack(leases: Leases<Data>, options?: { delay?: string }): Promise<Settled>;
  extend(leases: Leases<Data>, options?: { visibility?: string }): Promise<Settled>;
}

/** Leases or their receipts, one or several. */
export type Leases<Data = unknown> = string | Lease<Data> | readonly (string | Lease<Data>)[];

/**
 * What the server refuses, or what ended a connection. `code` is the server's, or one of the client's own: `connection` (it failed
 * or broke), `timeout` (or silence), `incomplete` (an answer broke off), `gap` (versions are missing), `closed`.
 */
export class PosthornError extends Error {
  constructor(message: string, details?: Partial<Pick<PosthornError, "code" | "status" | "retryAfter" | "oldest" | "problem">> & { cause?: unknown });
  readonly code: string;
  /** Of HTTP, when the server answered. */
  readonly status: number | undefined;
  /** In milliseconds. */
  readonly retryAfter: number | undefined;
  /** With the code `gone`: the oldest version kept. */
  readonly oldest: number | undefined;
  /** The server's problem document. */
  readonly problem: Record<string, unknown> | undefined;
}
