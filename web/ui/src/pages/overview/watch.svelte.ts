// An overview that is watched: what came first, with every second added, and all of it anew now and then.
import type { Attention, Overview } from "$api";
import { api } from "$lib/api";
import type { ApiError } from "$lib/problem";
import { asApiError } from "$lib/problem";
import type { StreamOptions } from "$lib/sse.svelte";
import { rate, recent, stepsOf, withTick, type Step, type Tick } from "./live";

/** How often the figures of the whole window are read again, ms. */
const AGAIN = 30_000;

export class Watched {
  overview = $state.raw<Overview>();
  steps = $state.raw<Step[]>([]);
  error = $state.raw<ApiError>();
  #ticks = $state.raw<Tick[]>([]);
  readonly tenant: string | undefined;

  constructor(tenant: string | undefined) {
    this.tenant = tenant;
  }

  get eventRate(): number {
    return rate(this.#ticks, "events", this.overview?.events_per_second ?? 0);
  }
  get deliveryRate(): number {
    return rate(this.#ticks, "delivered", this.overview?.deliveries_per_second ?? 0);
  }

  /** The stream's address and what is done with its messages. */
  source(): [string, StreamOptions] {
    const options: StreamOptions = { onmessage: (m) => this.#take(m.event, m.data), onerror: (error) => (this.error = error) };
    if (this.tenant === undefined) return ["/v1/overview/stream", options];
    return ["/v1/tenants/{tenant}/overview/stream", { ...options, path: { tenant: this.tenant } }];
  }

  #take(event: string, data: string): void {
    if (event === "overview") this.#begin(JSON.parse(data) as Overview);
    else if (event === "tick") this.#add(JSON.parse(data) as Tick);
    else if (event === "attention" && this.overview) this.overview = { ...this.overview, attention: (JSON.parse(data) as { data: Attention[] }).data };
  }

  #begin(overview: Overview): void {
    this.overview = overview;
    this.steps = stepsOf(overview);
    this.#ticks = [];
    this.error = undefined;
  }

  #add(tick: Tick): void {
    const o = this.overview;
    if (!o) return;
    this.#ticks = recent(this.#ticks, tick);
    this.steps = withTick(this.steps, o.series.step_ms, tick);
    const { lanes, in_flight, retries, streams } = tick;
    const same = tick.oldest_backlog_at !== undefined && o.oldest_backlog ? { ...o.oldest_backlog, at: tick.oldest_backlog_at } : undefined;
    const next: Overview = { ...o, at: tick.at, lanes, in_flight, retries, streams };
    if (same) next.oldest_backlog = same;
    else delete next.oldest_backlog;
    this.overview = next;
  }

  /** Reads the window's figures again until the function that is returned is called. */
  keep(): () => void {
    const abort = new AbortController();
    const timer = setInterval(() => document.visibilityState === "visible" && void this.#again(abort.signal), AGAIN);
    return () => {
      clearInterval(timer);
      abort.abort();
    };
  }

  async #again(signal: AbortSignal): Promise<void> {
    try {
      const tenant = this.tenant;
      const overview = tenant === undefined ? await api.get("/v1/overview", { signal }) : await api.get("/v1/tenants/{tenant}/overview", { path: { tenant }, signal });
      if (signal.aborted || !this.overview) return;
      this.overview = overview;
      this.steps = stepsOf(overview);
    } catch (error) {
      if (!signal.aborted && asApiError(error).status === 403) this.error = asApiError(error);
      // Otherwise the stream tells how it is, and the next turn mends it.
    }
  }
}
