// Addresses: the history API under /ui/, parameters, and filters that live in the query.
import { tick, untrack } from "svelte";
import { auth } from "./auth";
import { build, compile, readQuery, writeQuery, type Matched, type QueryValue } from "./path";
import type { Route } from "./routes";

const BASE = "/ui";
const PORTAL = /^\/portal\/([^/]+)(\/.*)?$/;

let find: (path: string) => Matched<Route> | undefined = () => undefined;
let product = $state("Posthorn");
let path = $state(here());
let search = $state(location.search);
let turn = $state(0); // grows with every move to another page
let arrived: number | undefined; // where a page that is come back to was scrolled
let guard: ((leave: () => void) => boolean) | undefined; // what is not saved yet

function here(): string {
  const p = location.pathname;
  return p === BASE ? "/" : p.startsWith(`${BASE}/`) ? p.slice(BASE.length) : p;
}

const portal = PORTAL.exec(here());
const portalTenant = portal?.[1] === undefined ? undefined : decode(portal[1]);

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** In the portal the pages of one tenant are under /portal/{tenant}; inside they keep their own addresses. */
function inner(outside: string): string {
  const m = PORTAL.exec(outside);
  if (!m) return outside;
  const rest = m[2] && m[2] !== "/" ? m[2] : "/endpoints";
  return `/t/${m[1]}${rest}`;
}

const matched = $derived.by(() => {
  const found = find(inner(path));
  return portalTenant !== undefined && !found?.route.portal ? undefined : found;
});

export const router = {
  /** The address without /ui and query, as the pages know it: "/t/acme/events". */
  get path(): string {
    return inner(path);
  },
  get query(): URLSearchParams {
    return new URLSearchParams(search);
  },
  get route(): Route | undefined {
    return matched?.route;
  },
  get params(): Record<string, string> {
    return matched?.params ?? {};
  },
  /** The tenant in the address, if there is one. */
  get tenant(): string | undefined {
    return matched?.params.tenant ?? portalTenant;
  },
  /** The tenant whose portal this is, if it is one. */
  get portal(): string | undefined {
    return portalTenant;
  },
  get turn(): number {
    return turn;
  },
  /** Names the page in the window's title. <PageHeader> does it. */
  title(text: string): void {
    document.title = text ? `${text} · ${product}` : product;
  },
  /** What the pages are called as a whole: a portal has its customer's name. */
  name(text: string): void {
    product = text;
  },
};

/** The full address of a page: href("/t/:tenant/events/:id", {tenant, id}) or href("/bins"). For every <a>. */
export function href(pattern: string, params?: Record<string, string>, query?: Record<string, QueryValue | undefined>): string {
  let to = build(pattern, params);
  if (portalTenant !== undefined) {
    const own = `/t/${encodeURIComponent(portalTenant)}`;
    if (to === own || to.startsWith(`${own}/`)) to = `/portal/${encodeURIComponent(portalTenant)}${to.slice(own.length)}`;
  }
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) writeQuery(q, name, value, "");
  const text = q.toString();
  return BASE + to + (text ? `?${text}` : "");
}

/** Whether an address is one of the portal's own; outside of the portal every one is. From the portal no way leads to the other pages. */
function inside(pathname: string): boolean {
  if (portalTenant === undefined) return true;
  const own = `${BASE}/portal/${encodeURIComponent(portalTenant)}`;
  return pathname === own || pathname.startsWith(`${own}/`);
}

/** Goes to a full address (from href). replace: without a new entry in the history. */
export function go(to: string, options: { replace?: boolean } = {}): void {
  const url = new URL(to, location.href);
  if (!inside(url.pathname)) return;
  if (url.origin !== location.origin || !(url.pathname === BASE || url.pathname.startsWith(`${BASE}/`))) {
    location.assign(url);
    return;
  }
  if (url.pathname !== location.pathname && guarded(() => go(to, options))) return;
  keepScroll();
  const state = { scroll: 0, ...auth.mark };
  if (options.replace) history.replaceState(state, "", url);
  else history.pushState(state, "", url);
  arrived = undefined;
  settle();
}

/**
 * Asks before the page is left: ask gets the function that leaves, and gives true to keep the page for now. Ends with the
 * returned function; one page at a time.
 */
export function keepFromLeaving(ask: (leave: () => void) => boolean): () => void {
  guard = ask;
  return () => {
    if (guard === ask) guard = undefined;
  };
}

function guarded(go: () => void): boolean {
  const ask = guard;
  return (
    ask?.(() => {
      guard = undefined;
      go();
    }) ?? false
  );
}

function settle(): void {
  const next = here();
  const moved = next !== untrack(() => path);
  path = next;
  search = location.search;
  if (moved) turn++;
}

function keepScroll(): void {
  history.replaceState({ ...(history.state as object | null), scroll: scrollY }, "");
}

/** Starts the router with all routes; once. */
export function start(routes: readonly Route[]): void {
  find = compile(routes);
  history.scrollRestoration = "manual";
  addEventListener("popstate", () => {
    const to = location.href;
    if (here() !== path && guard !== undefined) {
      history.pushState({ scroll: scrollY, ...auth.mark }, "", BASE + path + search); // stay, until the answer
      if (guarded(() => go(to, { replace: true }))) return;
      history.replaceState({ scroll: 0, ...auth.mark }, "", to);
    }
    arrived = (history.state as { scroll?: number } | null)?.scroll ?? 0;
    settle();
  });
  addEventListener("pagehide", keepScroll);
  document.addEventListener("click", follow);
  arrived = (history.state as { scroll?: number } | null)?.scroll;
}

/** A plain click on one of our own links stays in the page; anything else is the browser's. */
function follow(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || link.target || link.hasAttribute("download") || !link.getAttribute("href")) return;
  const url = new URL(link.href, location.href);
  if (url.origin !== location.origin || !url.pathname.startsWith(`${BASE}/`)) return;
  if (!inside(url.pathname)) {
    event.preventDefault();
    return;
  }
  if (url.pathname.startsWith(`${BASE}/login/oidc`)) return;
  if (url.pathname === location.pathname && url.search === location.search && url.hash) return;
  event.preventDefault();
  go(url.href);
}

/** After a page is shown: the focus goes to its h1, the scroll to where it was. */
export async function arrive(first: boolean): Promise<void> {
  await tick();
  const to = arrived;
  arrived = undefined;
  if (!first) document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
  if (to === undefined || to === 0) {
    if (!first) scrollTo(0, 0);
    return;
  }
  // The rows may still be on their way: try until the page is long enough, for a second at most.
  const end = performance.now() + 1000;
  const attempt = (): void => {
    scrollTo(0, to);
    if (Math.abs(scrollY - to) > 2 && performance.now() < end) requestAnimationFrame(attempt);
  };
  attempt();
}

type Widen<T> = T extends string ? string : T extends number ? number : T extends boolean ? boolean : T extends readonly string[] ? string[] : T;
export type QueryState<T> = { -readonly [K in keyof T]: Widen<T[K]> };

/**
 * Filters that live in the address: const filter = query({type: "", failed: false, types: [] as string[]}).
 * Reading filter.type is reactive; writing it changes the address in place. push makes a step that Back undoes.
 */
export function query<T extends Record<string, QueryValue>>(defaults: T, options: { push?: boolean } = {}): QueryState<T> {
  const out = {} as Record<string, QueryValue>;
  for (const [name, fallback] of Object.entries(defaults)) {
    Object.defineProperty(out, name, {
      enumerable: true,
      get: () => readQuery(new URLSearchParams(search), name, fallback),
      set: (value: QueryValue) => {
        const q = new URLSearchParams(location.search);
        writeQuery(q, name, value, fallback);
        const text = q.toString();
        const to = location.pathname + (text ? `?${text}` : "");
        if (to === location.pathname + location.search) return;
        if (options.push) {
          keepScroll();
          history.pushState({ scroll: scrollY, ...auth.mark }, "", to);
        } else history.replaceState(history.state, "", to);
        search = location.search;
      },
    });
  }
  return out as QueryState<T>;
}
