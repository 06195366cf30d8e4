// A live stream over fetch: the Bearer header can be sent, and it comes back by itself from where it was.
import { auth, onUnauthorized } from "./auth";
import { authHeaders, fill, queryString } from "./api";
import { isAbort, problemOf, type ApiError } from "./problem";
import { SSEParser, backoff, type Message } from "./sseparse";

export type StreamState = "connecting" | "live" | "paused" | "offline";

export interface StreamOptions {
  path?: Record<string, string | number>;
  query?: Record<string, unknown>;
  /** The tenant that a person with several means, on routes outside of tenants. */
  tenant?: string | undefined;
  /** The version (or id) after which to begin. */
  lastEventId?: string;
  onmessage: (message: Message) => void;
  /** A refusal that trying again will not mend (4xx). */
  onerror?: (error: ApiError) => void;
}

export class Stream {
  /** For a LiveDot: connecting, live, paused by the user, or offline (waiting to try again). */
  state = $state<StreamState>("connecting");
  /** When the next try comes, while offline (ms since 1970). */
  retryAt = $state(0);
  lastEventId: string;
  #template: string;
  #options: StreamOptions;
  #abort: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #closed = false;

  constructor(template: string, options: StreamOptions) {
    this.#template = template;
    this.#options = options;
    this.lastEventId = options.lastEventId ?? "";
    addEventListener("online", this.#wake);
    void this.#run();
  }

  /** Stops reading; resume goes on from the last message. */
  pause(): void {
    this.#stop();
    this.state = "paused";
  }

  resume(): void {
    if (this.#closed || this.state === "live" || this.state === "connecting") return;
    this.#failures = 0;
    void this.#run();
  }

  /** Ends it for good. */
  close(): void {
    this.#closed = true;
    removeEventListener("online", this.#wake);
    this.#stop();
  }

  #wake = (): void => {
    if (this.state === "offline") this.resume();
  };

  #stop(): void {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#abort = undefined;
  }

  async #run(): Promise<void> {
    this.#stop();
    const abort = new AbortController();
    this.#abort = abort;
    this.state = "connecting";
    let wait: number | undefined;
    try {
      wait = await this.#read(abort.signal);
    } catch (error) {
      if (isAbort(error)) return;
    }
    if (abort.signal.aborted || this.#closed) return;
    if (wait === Infinity) {
      this.state = "offline";
      return;
    }
    const pause = wait ?? backoff(this.#failures++);
    this.state = "offline";
    this.retryAt = Date.now() + pause;
    this.#timer = setTimeout(() => void this.#run(), pause);
  }

  /** Reads until the stream ends. Gives the wait before the next try, Infinity for none, undefined for the usual. */
  async #read(signal: AbortSignal): Promise<number | undefined> {
    const headers: Record<string, string> = { Accept: "text/event-stream", ...authHeaders() };
    if (this.#options.tenant) headers["Posthorn-Tenant"] = this.#options.tenant;
    if (this.lastEventId) headers["Last-Event-ID"] = this.lastEventId;
    const url = fill(this.#template, this.#options.path) + queryString(this.#options.query);
    const response = await fetch(url, { headers, signal, credentials: auth.credentials, cache: "no-store" });
    if (!response.ok || !response.body) {
      const problem = await problemOf(response);
      const final = problem.status >= 400 && problem.status < 500 && problem.status !== 429 && problem.status !== 408;
      if (problem.status === 401) onUnauthorized(url, problem.code);
      if (final) this.#options.onerror?.(problem);
      return final ? Infinity : problem.retryAfter && problem.retryAfter * 1000;
    }
    const parser = new SSEParser();
    parser.lastId = this.lastEventId;
    this.state = "live";
    this.#failures = 0;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return parser.retry;
      for (const message of parser.feed(value)) {
        this.lastEventId = message.id;
        this.#options.onmessage(message);
      }
    }
  }
}

/** A stream that lives as long as the component; call it while the component is set up. make() runs again when what it reads changes; undefined: none. */
export function stream(make: () => [template: string, options: StreamOptions] | undefined): { readonly current: Stream | undefined } {
  let current = $state.raw<Stream>();
  $effect(() => {
    const made = make();
    if (!made) return;
    const opened = new Stream(...made);
    current = opened;
    return () => {
      opened.close();
      current = undefined;
    };
  });
  return {
    get current() {
      return current;
    },
  };
}
