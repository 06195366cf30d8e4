// How much is in each bin of a list: the list does not say, so each bin in view is asked, four at a time.
import type { BinStats } from "$api";
import { api } from "$lib/api";
import { SvelteMap } from "svelte/reactivity";

export class Counts {
  #known = new SvelteMap<string, BinStats>();
  #asked = new Set<string>();
  #queue: string[] = [];
  #busy = 0;
  #abort = new AbortController();
  #tenant: () => string | undefined;

  constructor(tenant: () => string | undefined) {
    this.#tenant = tenant;
  }
  get(id: string): BinStats | undefined {
    return this.#known.get(id);
  }
  /** An attachment for a row: asks when it is drawn. */
  row = (id: string) => (): void => {
    if (this.#asked.has(id)) return;
    this.#asked.add(id);
    this.#queue.push(id);
    this.#next();
  };
  close(): void {
    this.#abort.abort();
  }
  #next(): void {
    while (this.#busy < 4) {
      const id = this.#queue.pop(); // the newest in view first
      if (id === undefined) return;
      this.#busy++;
      api
        .get("/v1/bins/{bin}", { path: { bin: id }, tenant: this.#tenant(), signal: this.#abort.signal })
        .then(
          (b) => b.stats && this.#known.set(id, b.stats),
          () => undefined, // the count stays empty; the bin's own page tells why
        )
        .finally(() => {
          this.#busy--;
          if (!this.#abort.signal.aborted) this.#next();
        });
    }
  }
}
