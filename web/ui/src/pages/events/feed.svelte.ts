// The events list: pages into the past by cursor, and on top of them what comes, by the stream. Nothing is lost or shown twice
// between the two: the log's head is read first, the list shows what is up to it and the stream what is after it.
import { untrack } from "svelte";
import { api } from "$lib/api";
import { ApiError, asApiError, isAbort } from "$lib/problem";
import { Stream, type StreamState } from "$lib/sse.svelte";
import { oneRow, rowsOf, type Row } from "./row";
import { celOf, couldBeId, type Search } from "./search";

export interface Criteria {
  tenant: string;
  search: Search;
  types: string[];
  subjects: string[];
  filter: string;
  /** RFC 3339; with until nothing new is shown. */
  since: string;
  until: string;
}

const PAGE = 60;
const LOOKS = 10; // empty pages in a row before it asks whether to look on; each has looked at up to 10,000 events
const HELD = 2000; // new events kept while the list stands still
const MOST = 20_000;

export class Feed {
  rows = $state.raw<Row[]>([]);
  error = $state.raw<ApiError>();
  loading = $state(true);
  /** The first page has come, or failed. */
  ready = $state(false);
  done = $state(false);
  /** It looked far and found nothing more: lookOn() goes on. */
  stalled = $state(false);
  /** The one event that was asked for by its id or version. */
  exact = $state(false);
  /** How many came while the list stood still. */
  waiting = $state(0);
  #stream = $state.raw<Stream>();
  #streamError = $state.raw<ApiError>();
  #criteria: Criteria | undefined;
  #abort = new AbortController();
  #next: string | undefined;
  #head = Infinity;
  #held: Row[] = [];
  #came: Row[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #hold = false;

  /** The live tail's state; undefined where there is none (a range in the past, one event by its id). */
  get live(): StreamState | undefined {
    return this.#stream?.state;
  }
  get liveError(): ApiError | undefined {
    return this.#streamError;
  }

  start(criteria: Criteria): void {
    this.stop();
    this.#criteria = criteria;
    this.#abort = new AbortController();
    this.#next = undefined;
    this.#head = Infinity;
    this.done = this.stalled = this.exact = false;
    this.loading = true;
    void this.#run(this.#abort.signal, () => this.#first(criteria, this.#abort.signal));
  }

  restart(): void {
    if (this.#criteria) this.start(this.#criteria);
  }

  stop(): void {
    this.#abort.abort();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#stream?.close();
    this.#stream = undefined;
    this.#streamError = undefined;
    this.#held = [];
    this.#came = [];
    this.waiting = 0;
  }

  /** Stands still, or lets what has come meanwhile in. */
  set hold(on: boolean) {
    if (on === this.#hold) return;
    this.#hold = on;
    if (!on) this.#release();
  }

  more = async (): Promise<void> => {
    const criteria = this.#criteria;
    if (!criteria || this.loading || this.done || this.stalled || this.error) return;
    const signal = this.#abort.signal;
    this.loading = true;
    await this.#run(signal, async () => this.#add(await this.#page(criteria, signal)));
  };

  lookOn = (): void => {
    this.stalled = false;
    void this.more();
  };

  async #run(signal: AbortSignal, what: () => Promise<void>): Promise<void> {
    try {
      await what();
      if (signal.aborted) return;
      this.error = undefined;
    } catch (e) {
      if (signal.aborted || isAbort(e)) return;
      this.error = asApiError(e);
    }
    this.ready = true;
    this.loading = false;
  }

  async #first(c: Criteria, signal: AbortSignal): Promise<void> {
    const one = await this.#one(c, signal);
    if (signal.aborted) return;
    if (one !== undefined || c.search.id || c.search.version) {
      this.exact = one !== undefined;
      this.rows = one ? [one] : [];
      this.done = true;
      return;
    }
    if (!c.until) {
      const path = { tenant: c.tenant };
      this.#head = (await api.get("/v1/tenants/{tenant}/changes", { path, query: { limit: 1 }, signal })).head;
    }
    const rows = await this.#page(c, signal);
    if (signal.aborted) return;
    this.rows = rows;
    if (!c.until) this.#follow(c);
  }

  /** The event whose id or version was typed; also a plain word may be an id. */
  async #one(c: Criteria, signal: AbortSignal): Promise<Row | undefined> {
    const { id, version, text } = c.search;
    const path = { tenant: c.tenant };
    try {
      if (version) {
        const answer = await api.read("/v1/tenants/{tenant}/changes", { path, query: { start: version, limit: 1 }, signal });
        return rowsOf(answer.text).find((row) => row.version === version);
      }
      const event = id || (couldBeId(text) ? text : "");
      if (!event) return undefined;
      return oneRow((await api.read("/v1/tenants/{tenant}/events/{event}", { path: { ...path, event }, signal })).text);
    } catch (e) {
      if (e instanceof ApiError && [404, 410, 400, 422].includes(e.status)) return undefined;
      throw e;
    }
  }

  #query(c: Criteria): { types?: string[]; subject?: string[]; filter?: string } {
    const types = [...new Set([...c.types, ...c.search.types])];
    const subject = [...new Set([...c.subjects, ...c.search.subjects])];
    const filter = celOf(c.search.text, c.filter);
    return { ...(types.length > 0 && { types }), ...(subject.length > 0 && { subject }), ...(filter && { filter }) };
  }

  /** The next page that holds something. */
  async #page(c: Criteria, signal: AbortSignal): Promise<Row[]> {
    for (let looks = 0; ; looks++) {
      const query = { ...this.#query(c), limit: PAGE, ...(c.since && { since: c.since }), ...(c.until && { until: c.until }), ...(this.#next && { cursor: this.#next }) };
      const answer = await api.read("/v1/tenants/{tenant}/events", { path: { tenant: c.tenant }, query, signal });
      if (signal.aborted) return [];
      const rows = rowsOf(answer.text).filter((row) => row.version <= this.#head);
      this.#next = answer.data.next ?? undefined;
      this.done = this.#next === undefined;
      if (rows.length > 0 || this.done) return rows;
      if (looks + 1 < LOOKS) continue;
      this.stalled = true;
      return [];
    }
  }

  #add(rows: Row[]): void {
    this.rows = [...this.rows, ...rows];
  }

  #follow(c: Criteria): void {
    this.#stream = new Stream("/v1/tenants/{tenant}/stream", {
      path: { tenant: c.tenant },
      query: { ...this.#query(c), event: "none", start: this.#head + 1 },
      onmessage: (message) => {
        const row = oneRow(message.data);
        if (!row) return;
        this.#came.push({ ...row, seen: Date.now() });
        this.#timer ??= setTimeout(this.#flush, 150);
      },
      onerror: (error) => (this.#streamError = error),
    });
  }

  /** Shows what came in the last moments at once, newest first. */
  #flush = (): void => {
    this.#timer = undefined;
    const came = this.#came.reverse();
    this.#came = [];
    if (this.#hold) {
      this.waiting += came.length;
      this.#held = [...came, ...this.#held].slice(0, HELD);
      return;
    }
    this.rows = [...came, ...this.rows];
    if (this.rows.length > MOST) this.restart();
  };

  #release(): void {
    if (this.waiting > this.#held.length || this.rows.length + this.waiting > MOST) {
      this.restart(); // more came than was kept
      return;
    }
    this.rows = [...this.#held, ...this.rows];
    this.#held = [];
    this.waiting = 0;
  }
}

/** A feed that lives as long as the component and begins anew when what criteria() reads changes. */
export function feed(criteria: () => Criteria): Feed {
  const made = new Feed();
  $effect(() => {
    const c = criteria();
    untrack(() => made.start(c));
    return () => untrack(() => made.stop());
  });
  return made;
}
