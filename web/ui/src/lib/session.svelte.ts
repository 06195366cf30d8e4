// Who is here and what they may do. It only hides and explains: the server decides.
import { api, send } from "./api";
import { auth, setUnauthorized } from "./auth";
import { ApiError } from "./problem";
import { go, href, router } from "./router.svelte";

export type Permission = "publish" | "read" | "manage";

export interface Me {
  kind: "root" | "apikey" | "token" | "user";
  id?: string;
  name: string;
  admin: boolean;
  /** The one tenant of a key or token. */
  tenant?: string;
  allow?: string[];
  /** A person's tenants; "*" is every one. */
  grants?: { tenant: string; allow: string[] }[];
  portal?: boolean;
  expires?: string;
  session: boolean;
  version: string;
}

let me = $state.raw<Me>();
let ended = $state<"expired" | "withdrawn">();

/** Ends a portal: its token is forgotten, and why it is no longer of use is told. */
export function endPortal(): void {
  ended = auth.leavePortal();
}

export const session = {
  get me(): Me | undefined {
    return me;
  },
  /** Why the portal's link is of no use any more. */
  get ended(): "expired" | "withdrawn" | undefined {
    return ended;
  },
  get admin(): boolean {
    return me?.admin ?? false;
  },
  /** The tenants that are known by name; an admin's (and "*") are asked of the server instead. */
  get tenants(): string[] {
    if (!me) return [];
    if (me.tenant) return [me.tenant];
    return (me.grants ?? []).map((g) => g.tenant).filter((name) => name !== "*");
  },
  /** Whether any tenant may be opened. */
  get everyTenant(): boolean {
    return session.admin || (me?.grants ?? []).some((g) => g.tenant === "*");
  },
};

/** manage includes read, as the server has it. */
const allows = (allow: readonly string[], permission: Permission): boolean => allow.includes(permission) || (permission === "read" && allow.includes("manage"));

/** Whether the caller may do something in a tenant (the address's by default): can("manage"). */
export function can(permission: Permission, tenant: string | undefined = router.tenant): boolean {
  if (!me) return false;
  if (me.admin) return true;
  if (tenant === undefined) return false;
  if (me.grants?.some((g) => (g.tenant === tenant || g.tenant === "*") && allows(g.allow, permission))) return true;
  if (me.tenant !== tenant) return false;
  const allow = me.allow ?? [];
  if (allow.includes("portal")) return permission !== "publish";
  if (allow.includes("portal-read")) return permission === "read";
  return allows(allow, permission);
}

/** Asks who is here. false: nobody, the login page it is. */
export async function enter(): Promise<boolean> {
  if (auth.locked) return false;
  try {
    me = (await send<Me>("get", "/v1/me")).data;
    if (router.tenant === undefined) await chooseOnly();
    return true;
  } catch (error) {
    if (error instanceof ApiError && (error.status === 401 || error.status === 403)) return false;
    throw error;
  }
}

/** Logs in with an API key; the session's cookie is set by the answer. */
export async function logIn(key: string): Promise<Me> {
  me = (await send<Me>("post", "/v1/session", { body: { key } })).data;
  ended = undefined;
  const now = me;
  await chooseOnly();
  return now;
}

// Whoever logs out leaves nothing behind: neither in the other tabs, nor in a page that the browser kept whole for its way back.
const OUT = "posthorn.out";
function leftAt(): string {
  try {
    return localStorage.getItem(OUT) ?? "";
  } catch {
    return "";
  }
}
let left = leftAt();
function leftMeanwhile(): void {
  if (router.portal !== undefined || left === leftAt()) return;
  left = leftAt();
  if (me?.session) me = undefined; // the app goes to the login page
}
addEventListener("storage", leftMeanwhile);
addEventListener("pageshow", leftMeanwhile);

/** Logs out, here or on every device. */
export async function logOut(everywhere = false): Promise<void> {
  await send("delete", everywhere ? "/v1/sessions" : "/v1/session");
  const person = me?.kind === "user";
  me = undefined;
  try {
    localStorage.setItem(OUT, (left = String(Date.now())));
  } catch {
    // The other tabs notice at their next request.
  }
  // A person's provider may have a page of logging out, too; the server knows.
  if (person) location.assign("/ui/login/oidc/leave");
  else go(href("/login"));
}

/** The address of the login page that comes back to where the person is now; error says what led there. */
export function loginPath(error?: "session_ended"): string {
  const to = location.pathname + location.search;
  return href("/login", undefined, { return: to === "/ui/" || router.path === "/login" ? undefined : to, error });
}

setUnauthorized((url, code) => {
  if (url.startsWith("/v1/session") && !url.startsWith("/v1/sessions")) return; // a wrong key is the form's to show
  if (router.portal !== undefined) {
    if (auth.token !== undefined) endPortal();
    return;
  }
  const was = me !== undefined || code === "session_ended";
  me = undefined;
  if (router.path !== "/login") go(loginPath(was ? "session_ended" : undefined), { replace: true });
});

/** The page to begin with: the overview for those who may see it, else the caller's tenant. */
export function home(): string {
  if (session.admin) return href("/");
  const first = session.tenants[0] ?? lastTenant();
  return first === undefined ? href("/") : href("/t/:tenant/overview", { tenant: first });
}

const LAST = "posthorn.tenant";
function storedTenant(): string | undefined {
  try {
    return localStorage.getItem(LAST) ?? undefined;
  } catch {
    return undefined;
  }
}
let last = $state(storedTenant());

/** The tenant that was looked at last on this computer. */
export function lastTenant(): string | undefined {
  return last;
}

/** Whether the caller may see anything of a tenant. */
export function mayEnter(tenant: string): boolean {
  return session.everyTenant || session.tenants.includes(tenant);
}

/** A tenant that is not there is chosen no longer. */
export function forgetTenant(tenant: string): void {
  if (last !== tenant) return;
  last = undefined;
  try {
    localStorage.removeItem(LAST);
  } catch {
    // It is not kept either.
  }
  void chooseOnly();
}

/** Nobody has to choose among one: who may see every tenant begins with the only one there is. */
async function chooseOnly(): Promise<void> {
  if (last !== undefined || !session.everyTenant) return;
  try {
    const [only, ...more] = await findTenants("");
    if (only !== undefined && more.length === 0) keepTenant(only);
  } catch {
    // The switcher asks again.
  }
}

export function keepTenant(tenant: string): void {
  last = tenant;
  try {
    localStorage.setItem(LAST, tenant);
  } catch {
    // Next time the switcher begins empty.
  }
}

/** Searches tenants by name for the switcher and the palette. */
export async function findTenants(q: string, signal?: AbortSignal): Promise<string[]> {
  if (!session.everyTenant) return session.tenants.filter((name) => name.includes(q));
  const answer = await api.send<{ data: { name: string }[] }>("get", "/v1/tenants", { query: { q, limit: 20 }, signal });
  const names = answer.data.data.map((tenant) => tenant.name);
  return q ? names.filter((name) => name.toLowerCase().includes(q.toLowerCase())) : names;
}
