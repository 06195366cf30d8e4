// A bin's requests: pages of what is kept, and on top what comes, by the bin's stream.
import type { BinRequest } from "$api";
import { api } from "$lib/api";
import { pages, type Paged } from "$lib/load.svelte";
import { isAbort } from "$lib/problem";
import { stream, type Stream } from "$lib/sse.svelte";
import { TOO_LONG } from "$lib/sseparse";
import { eventName } from "$lib/webhook";
import { kindOf } from "./content";
import { untrack } from "svelte";

export interface Row {
  id: string;
  seq: number;
  at: string;
  method: string;
  path: string;
  remote: string;
  size: number;
  /** What the body is, in a word: json, form, text. */
  kind: string;
  /** What the sender says that happened, where a header does. */
  event: string;
  note: string;
  refused: string | undefined;
  held: boolean;
  status: number | undefined;
}

/** What the list needs of a request: ten thousand bodies are not kept. */
export function rowOf(r: BinRequest): Row {
  return { id: r.id, seq: r.seq, at: r.at, method: r.method, path: r.path, remote: r.remote, size: r.size, kind: kindOf(r), event: eventName(r.headers), note: r.note, refused: r.refused, held: r.held === true && !r.answer, status: r.answer?.status };
}

export interface Criteria {
  query: string;
  method: string;
  since: string;
  until: string;
}
export const narrowed = (c: Criteria): boolean => c.query !== "" || c.method !== "" || c.since !== "" || c.until !== "";
/** The filters as the API takes them. */
export function filterOf(c: Criteria): Record<string, string> {
  return { ...(c.query ? { query: c.query } : {}), ...(c.method ? { method: c.method } : {}), ...(c.since ? { since: c.since } : {}), ...(c.until ? { until: c.until } : {}) };
}

export interface Feed {
  readonly list: Paged<Row>;
  readonly stream: Stream | undefined;
  /** How many came since the page was opened. */
  readonly came: number;
}

/** What the stream tells of requests that came before: they are deleted, or one got a note or an answer (0: none). */
export interface BinChange {
  seqs: number[] | null;
  deleted?: boolean;
  note?: string;
  status?: number;
}

/** What changed of a row. */
function changedRow(row: Row, change: BinChange): Row {
  return { ...row, ...(change.note !== undefined ? { note: change.note } : {}), ...(change.status !== undefined ? { status: change.status, held: false } : {}) };
}

/**
 * Call it while the component is set up. last: the number of the last request when the bin was read; keep: how many it holds;
 * changed: told of what happens to those that are there.
 */
export function feed(bin: string, tenant: string | undefined, of: () => Criteria, last: number, keep: () => number, changed: (change: BinChange) => void): Feed {
  let came = $state(0);
  const ask = async (c: Criteria, cursor: string | undefined, signal: AbortSignal) => {
    const page = await api.get("/v1/bins/{bin}/requests", { path: { bin }, query: { limit: 100, max_body: 0, ...filterOf(c), ...(cursor ? { cursor } : {}) }, tenant, signal });
    return { data: (page.data ?? []).map(rowOf), next: page.next ?? null };
  };
  const list = pages<Row>((cursor, signal) => ask(of(), cursor, signal));

  let waiting: Row[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let abort: AbortController | undefined;
  const gone = new AbortController(); // the page is left

  function put(rows: Row[]): void {
    const first = list.rows[0]?.seq ?? 0;
    const fresh = rows.filter((r) => r.seq > first).sort((a, b) => b.seq - a.seq);
    if (fresh.length > 0) list.prepend(fresh, Math.max(keep(), 100));
  }
  async function flush(): Promise<void> {
    timer = undefined;
    if (waiting.length === 0) return;
    if (list.loading && !list.ready) {
      later(100);
      return;
    }
    const got = waiting;
    waiting = [];
    came += got.length;
    const c = of();
    if (!narrowed(c)) {
      put(got);
      return;
    }
    // The server knows whether they match.
    abort?.abort();
    const mine = (abort = new AbortController());
    try {
      const page = await ask(c, undefined, mine.signal);
      if (!mine.signal.aborted && c === of()) put(page.data); // the list of other filters has read them itself
    } catch (error) {
      if (!isAbort(error)) waiting = [...got, ...waiting];
    }
  }
  // Somebody, here or elsewhere, deleted some, or wrote a note, or a caller got its answer.
  function change(c: BinChange): void {
    const seqs = new Set(c.seqs ?? []);
    changed(c); // it may look for the neighbours of what goes
    waiting = c.deleted ? waiting.filter((row) => !seqs.has(row.seq)) : waiting.map((row) => (seqs.has(row.seq) ? changedRow(row, c) : row));
    if (!list.rows.some((row) => seqs.has(row.seq))) return;
    list.update((rows) => (c.deleted ? rows.filter((row) => !seqs.has(row.seq)) : rows.map((row) => (seqs.has(row.seq) ? changedRow(row, c) : row))));
  }
  // Changes are told while there is a connection: what is on top is read again after a break.
  async function again(): Promise<void> {
    const c = of();
    const top = list.rows[0]?.seq ?? 0;
    try {
      const page = await ask(c, undefined, gone.signal);
      if (c !== of() || list.loading) return; // other filters, or all of it anew
      const end = page.next ? (page.data.at(-1)?.seq ?? 0) : 0;
      const last = Math.max(top, page.data[0]?.seq ?? 0); // what is above came by the stream meanwhile
      list.update((rows) => [...rows.filter((row) => row.seq > last), ...page.data, ...rows.filter((row) => row.seq < end)]);
    } catch {
      // it is read again with the next break, or by hand
    }
  }
  function later(ms: number): void {
    timer ??= setTimeout(() => void flush(), ms);
  }
  const live = stream(() => [
    "/v1/bins/{bin}/stream",
    {
      path: { bin },
      query: { max_body: 0 },
      tenant,
      lastEventId: String(last),
      onmessage(message) {
        if (message.event === TOO_LONG) void list.reload(); // a body that no stream should bring: its row comes by the list
        if (message.event === "change") change(JSON.parse(message.data) as BinChange);
        if (message.event !== "request") return;
        waiting.push(rowOf(JSON.parse(message.data) as BinRequest));
        later(narrowed(of()) ? 400 : 80);
      },
    },
  ]);
  let connected = false;
  $effect(() => {
    if (live.current?.state !== "live") return;
    if (connected) void untrack(again);
    connected = true;
  });
  $effect(() => () => {
    clearTimeout(timer);
    abort?.abort();
    gone.abort();
  });
  return {
    list,
    get stream() {
      return live.current;
    },
    get came() {
      return came;
    },
  };
}
