// What was typed when the session ended is there again after the log-in, for the same person at the same address, in this tab only.
// Passwords and tokens are not kept.
import { router } from "$lib/router.svelte";
import { session } from "$lib/session.svelte";
import type { Carried } from "./draft";

const KEY = "posthorn.form";

/** Where a form is, and whose; undefined when nobody is logged in. */
export function place(): string | undefined {
  const me = session.me;
  return me && JSON.stringify([router.path, me.kind, me.id ?? me.name]);
}

export function keep(at: string, { draft, start }: Carried): void {
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ at, draft: { ...draft, password: "", token: "" }, start }));
  } catch {
    // Without storage it is typed again.
  }
}

/** What was kept for this place, once; of another place it is forgotten. */
export function take(at: string | undefined): Carried | undefined {
  try {
    const text = sessionStorage.getItem(KEY);
    sessionStorage.removeItem(KEY);
    const was = text ? (JSON.parse(text) as Carried & { at: string }) : undefined;
    return was?.at === at ? was : undefined;
  } catch {
    return undefined;
  }
}
