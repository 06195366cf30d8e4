// Figures for the rows in view: asked together, at most 50 ids a request, kept for a minute.
import type { Stats } from "$api";
import { api } from "$lib/api";
import { SvelteMap } from "svelte/reactivity";

const MOST = 50;
const FRESH = 60_000;

/** One for a page; close() it when the page goes. */
export class StatsOfMany {
  /** Rows drawn now. */
  readonly visible = new Set<string>();
  readonly #known = new SvelteMap<string, Stats>();
  readonly #at = new Map<string, number>();
  readonly #waiting = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #abort = new AbortController();
  readonly #tenant: string;

  constructor(tenant: string) {
    this.#tenant = tenant;
  }

  get(id: string): Stats | undefined {
    return this.#known.get(id);
  }

  /** A row is drawn: {@attach stats.row(id)}. */
  row = (id: string) => (): (() => void) => {
    this.visible.add(id);
    this.ask(id);
    return () => {
      this.visible.delete(id);
      this.#waiting.delete(id);
    };
  };

  ask(id: string): void {
    if (Date.now() - (this.#at.get(id) ?? 0) < FRESH) return;
    this.#waiting.add(id);
    this.#timer ??= setTimeout(() => void this.#flush(), 120);
  }

  /** Asks again for what is in view and old. */
  refresh(): void {
    for (const id of this.visible) this.ask(id);
  }

  async #flush(): Promise<void> {
    this.#timer = undefined;
    const ids = [...this.#waiting].slice(0, MOST);
    for (const id of ids) this.#waiting.delete(id);
    if (ids.length === 0) return;
    for (const id of ids) this.#at.set(id, Date.now());
    try {
      const reply = await api.get("/v1/tenants/{tenant}/endpoints/stats", {
        path: { tenant: this.#tenant },
        query: { endpoints: ids, window: "24h", buckets: 24 },
        signal: this.#abort.signal,
      });
      for (const one of (reply.data ?? [])) if (one.endpoint) this.#known.set(one.endpoint, one);
    } catch {
      for (const id of ids) this.#at.delete(id); // the rows stay without figures until they are drawn again
    }
    if (this.#waiting.size > 0 && !this.#abort.signal.aborted) this.#timer ??= setTimeout(() => void this.#flush(), 120);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#abort.abort();
  }
}
