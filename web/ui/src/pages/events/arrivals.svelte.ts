// Whether the events in view have arrived: asked for one by one, those in view only, and again while something is still to come.
import { api } from "$lib/api";
import { asApiError, isAbort } from "$lib/problem";
import { SvelteMap } from "svelte/reactivity";
import { lost, summed, type Arrival } from "./arrival";
import type { Row } from "./row";

const AT_ONCE = 3; // requests under way
const FRESH = 600; // ms: what has just been published is let arrive before it is asked for
const AGAIN = 2000; // ms to the second look at an event of which something is to come; to each further one twice as long
const SELDOM = 60_000; // ms at most
const TURN = 300; // ms between two looks at what is in view
const MOST = 3000; // kept

export class Arrivals {
  readonly #known = new SvelteMap<string, Arrival>();
  readonly #asked = new Map<string, { at: number; times: number }>(); // by version
  readonly #tenant: () => string;
  #view: readonly Row[] = [];
  #under = 0;
  #abort = new AbortController();
  #off = false; // they may not be seen, or the server has none
  #rest = 0; // ms since 1970: until then the server, which has too much to do or is away, is not asked

  constructor(tenant: () => string) {
    this.#tenant = tenant;
  }

  of(row: Row): Arrival | undefined {
    return this.#known.get(String(row.version));
  }

  /** The rows that are in view now. */
  see = (rows: readonly Row[]): void => {
    this.#view = rows;
  };

  /** Asks until the function that is returned is called. */
  keep(): () => void {
    this.#abort = new AbortController();
    const timer = setInterval(() => document.visibilityState === "visible" && this.#fill(), TURN);
    return () => {
      clearInterval(timer);
      this.#abort.abort();
      this.#known.clear();
      this.#asked.clear();
      this.#under = 0;
      this.#off = false;
      this.#rest = 0;
    };
  }

  #fill(): void {
    const now = Date.now();
    if (now < this.#rest) return;
    for (const row of this.#view) {
      if (this.#under >= AT_ONCE || this.#off) return;
      const key = String(row.version);
      const known = this.#known.get(key);
      if (known && !known.open) continue;
      const asked = this.#asked.get(key);
      if (asked ? now - asked.at < Math.min(SELDOM, AGAIN * 2 ** (asked.times - 1)) : now - row.seen < FRESH) continue;
      this.#asked.set(key, { at: now, times: (asked?.times ?? 0) + 1 });
      void this.#ask(row, key, this.#abort.signal);
    }
  }

  #keep(key: string, arrival: Arrival): void {
    if (this.#known.size >= MOST) {
      this.#known.clear();
      this.#asked.clear();
    }
    this.#known.set(key, arrival);
  }

  async #ask(row: Row, key: string, signal: AbortSignal): Promise<void> {
    this.#under++;
    try {
      const page = await api.get("/v1/tenants/{tenant}/events/{event}/deliveries", { path: { tenant: this.#tenant(), event: row.id }, query: { limit: 200 }, signal });
      if (signal.aborted) return;
      this.#keep(key, summed(page.data ?? [], Boolean(page.next)));
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      const problem = asApiError(error);
      if (problem.notFound) this.#keep(key, lost); // the event is kept no more
      else if (problem.status >= 400 && problem.status < 500 && problem.status !== 429) this.#off = true;
      else this.#rest = Date.now() + Math.max(AGAIN, (problem.retryAfter ?? 0) * 1000); // the list tells what is wrong
    }
    if (signal.aborted) return;
    this.#under--;
    this.#fill();
  }
}

/** Asks for as long as the component lives, anew for another tenant. */
export function arrivals(tenant: () => string): Arrivals {
  const made = new Arrivals(tenant);
  $effect(() => {
    void tenant();
    return made.keep();
  });
  return made;
}
