// Data for pages: loaded when the component is set up, again when what it depends on changes, ended when it goes.
import { untrack } from "svelte";
import { ApiError, asApiError, isAbort } from "./problem";

export interface Loaded<T> {
  /** undefined until the first answer; kept while a newer one is on its way. */
  readonly data: T | undefined;
  readonly error: ApiError | undefined;
  /** A request is on its way. */
  readonly loading: boolean;
  /** Asks again; the promise ends with the answer or its error. */
  reload(): Promise<void>;
  /** Puts a value in place of what was loaded, e.g. the answer to an update. */
  set(value: T): void;
}

/**
 * load((signal) => api.get("/v1/…", {path: {tenant: params.tenant}, signal})).
 * Everything reactive that the function reads before its first await makes it run again; the older request is ended. With every it
 * runs again after so many milliseconds, unless something, such as a deletion that is being asked about, speaks against it.
 */
export function load<T>(from: (signal: AbortSignal) => Promise<T>, options: { every?: number; unless?: () => boolean } = {}): Loaded<T> {
  let data = $state.raw<T>();
  let error = $state.raw<ApiError>();
  let loading = $state(true);
  let abort: AbortController | undefined;

  async function run(): Promise<void> {
    abort?.abort();
    const mine = new AbortController();
    abort = mine;
    const promise = from(mine.signal); // reads its dependencies here
    untrack(() => (loading = true));
    try {
      const value = await promise;
      if (mine.signal.aborted) return;
      data = value;
      error = undefined;
    } catch (e) {
      if (mine.signal.aborted || isAbort(e)) return;
      error = asApiError(e);
    }
    loading = false;
  }

  $effect(() => {
    void run();
    return () => abort?.abort();
  });
  $effect(() => {
    if (!options.every) return;
    const timer = setInterval(() => document.visibilityState === "visible" && !loading && !options.unless?.() && void run(), options.every);
    return () => clearInterval(timer);
  });
  return {
    get data() {
      return data;
    },
    get error() {
      return error;
    },
    get loading() {
      return loading;
    },
    reload: () => untrack(run),
    set(value: T) {
      data = value;
      error = undefined;
    },
  };
}

export interface ListPage<T> {
  data?: T[] | null;
  next?: string | null;
}

export interface Paged<T> {
  readonly rows: T[];
  readonly error: ApiError | undefined;
  readonly loading: boolean;
  /** The first page has come (or failed). */
  readonly ready: boolean;
  /** There is no further page. */
  readonly done: boolean;
  /** Loads the next page; safe to call often. */
  more(): Promise<void>;
  /** Starts over from the first page. */
  reload(): Promise<void>;
  /** Puts rows on top (a live tail), keeping at most `keep`. */
  prepend(rows: T[], keep?: number): void;
  /** Changes the rows in place: list.update((rows) => rows.filter(…)). */
  update(change: (rows: T[]) => T[]): void;
}

/** A list with cursors: pages((cursor, signal) => api.get("/v1/…", {path, query: {cursor, limit: 100}, signal})). */
export function pages<T>(from: (cursor: string | undefined, signal: AbortSignal) => Promise<ListPage<T>>): Paged<T> {
  let rows = $state.raw<T[]>([]);
  let error = $state.raw<ApiError>();
  let loading = $state(true);
  let ready = $state(false);
  let done = $state(false);
  let next: string | undefined;
  let abort: AbortController | undefined;

  async function run(first: boolean): Promise<void> {
    if (first) {
      abort?.abort();
      next = undefined;
    }
    const mine = (abort = first || !abort ? new AbortController() : abort);
    const promise = from(next, mine.signal);
    untrack(() => (loading = true));
    try {
      let page = await promise;
      let got = page.data ?? [];
      // A filtered page may be short or empty and yet have a next one: look on, within reason.
      for (let i = 0; got.length === 0 && page.next && i < 20; i++) {
        page = await from(page.next, mine.signal);
        got = page.data ?? [];
      }
      if (mine.signal.aborted) return;
      rows = first ? got : [...rows, ...got];
      next = page.next ?? undefined;
      done = !next;
      error = undefined;
    } catch (e) {
      if (mine.signal.aborted || isAbort(e)) return;
      error = asApiError(e);
    }
    ready = true;
    loading = false;
  }

  $effect(() => {
    void run(true);
    return () => abort?.abort();
  });
  return {
    get rows() {
      return rows;
    },
    get error() {
      return error;
    },
    get loading() {
      return loading;
    },
    get ready() {
      return ready;
    },
    get done() {
      return done;
    },
    more: async () => {
      if (untrack(() => loading || done || error !== undefined)) return;
      await untrack(() => run(false));
    },
    reload: () => untrack(() => run(true)),
    prepend(more: T[], keep = 20_000) {
      rows = [...more, ...rows].slice(0, keep);
    },
    update(change) {
      rows = change(rows);
    },
  };
}

export interface Action {
  readonly busy: boolean;
  readonly error: ApiError | undefined;
  /** Runs it; true when it succeeded. A second call while busy does nothing. */
  run(): Promise<boolean>;
  /** Forgets the error. */
  clear(): void;
}

/** An action with its state, for a button or a form: const save = action(async () => { await api.put(…) }). */
export function action(what: () => Promise<unknown>): Action {
  let busy = $state(false);
  let error = $state.raw<ApiError>();
  return {
    get busy() {
      return busy;
    },
    get error() {
      return error;
    },
    async run() {
      if (busy) return false;
      busy = true;
      error = undefined;
      try {
        await what();
        return true;
      } catch (e) {
        if (!isAbort(e)) error = asApiError(e);
        return false;
      } finally {
        busy = false;
      }
    },
    clear() {
      error = undefined;
    },
  };
}
