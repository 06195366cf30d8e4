// Where an event went: its deliveries and attempts, read again while something is still to come.
import type { Attempt, Delivery } from "$api";
import { api } from "$lib/api";
import { asApiError, isAbort, type ApiError } from "$lib/problem";
import { pace } from "./pace";

const PAGES = 10; // of 200: enough for any event but one that thousands of endpoints take

export interface Life {
  received: string;
  version: number;
  deliveries: Delivery[];
  /** By endpoint, oldest first. */
  attempts: Map<string, Attempt[]>;
  /** There are more than were read. */
  partial: boolean;
}

export interface Watched {
  readonly life: Life | undefined;
  readonly error: ApiError | undefined;
  /** Looks again at once, and often for a while: something was asked for. */
  nudge(): void;
}

async function read(tenant: string, event: string, signal: AbortSignal): Promise<Life> {
  const path = { tenant, event };
  const deliveries: Delivery[] = [];
  const attempts: Attempt[] = [];
  let partial = false;
  let first: { received: string; version: number } | undefined;
  const both = await Promise.all([
    everyPage(async (cursor) => {
      const page = await api.get("/v1/tenants/{tenant}/events/{event}/deliveries", { path, query: { limit: 200, ...(cursor && { cursor }) }, signal });
      first ??= { received: page.received, version: page.version };
      partial ||= page.partial ?? false;
      deliveries.push(...(page.data ?? []));
      return page.next;
    }),
    everyPage(async (cursor) => {
      const page = await api.get("/v1/tenants/{tenant}/events/{event}/attempts", { path, query: { limit: 200, ...(cursor && { cursor }) }, signal });
      attempts.push(...(page.data ?? []));
      return page.next;
    }),
  ]);
  const by = new Map<string, Attempt[]>();
  for (const attempt of attempts.reverse()) by.set(attempt.endpoint, [...(by.get(attempt.endpoint) ?? []), attempt]);
  return { received: first?.received ?? "", version: first?.version ?? 0, deliveries, attempts: by, partial: partial || both.some((whole) => !whole) };
}

/** Reads page after page, within reason; true when that was all. */
async function everyPage(one: (cursor: string | undefined) => Promise<string | undefined | null>): Promise<boolean> {
  let cursor: string | undefined;
  for (let i = 0; i < PAGES; i++) {
    cursor = (await one(cursor)) ?? undefined;
    if (cursor === undefined) return true;
  }
  return false;
}

/** Watches an event for as long as the component lives. */
export function watchLife(which: () => { tenant: string; event: string }): Watched {
  let life = $state.raw<Life>();
  let error = $state.raw<ApiError>();
  let looks = 0;
  let extra = 0; // looks to make though nothing seems to be open: what was asked for may not have begun yet
  let timer: ReturnType<typeof setTimeout> | undefined;
  let abort: AbortController | undefined;
  let at: { tenant: string; event: string } | undefined;

  async function look(): Promise<void> {
    clearTimeout(timer);
    abort?.abort();
    const mine = (abort = new AbortController());
    if (!at) return;
    try {
      const got = await read(at.tenant, at.event, mine.signal);
      if (mine.signal.aborted) return;
      life = got;
      error = undefined;
    } catch (e) {
      if (mine.signal.aborted || isAbort(e)) return;
      error = asApiError(e);
      if (error.status !== 0 && error.status < 500 && error.status !== 429) return; // trying again will not mend it
    }
    looks++;
    const wait = extra > 0 ? (extra--, 1000) : life ? pace(life.deliveries, looks, Date.now()) : 5000;
    if (wait !== undefined) plan(wait);
    else if (error) plan(5000);
  }
  function plan(wait: number): void {
    timer = setTimeout(() => {
      if (document.visibilityState === "visible") void look();
      else addEventListener("visibilitychange", () => void look(), { once: true, signal: abort?.signal ?? AbortSignal.abort() });
    }, wait);
  }

  $effect(() => {
    at = which();
    life = undefined;
    error = undefined;
    looks = 0;
    void look();
    return () => {
      clearTimeout(timer);
      abort?.abort();
    };
  });
  return {
    get life() {
      return life;
    },
    get error() {
      return error;
    },
    nudge() {
      looks = 0;
      extra = 4;
      void look();
    },
  };
}
