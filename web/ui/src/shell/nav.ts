// The pages in the sidebar, the palette and the phone's bar.
import type { IconName } from "$components";
import type { Plain } from "$lib/i18n.svelte";
import { href } from "$lib/router.svelte";
import { can, session, type Permission } from "$lib/session.svelte";

export interface NavItem {
  key: string;
  title: Plain;
  icon: IconName;
  href: string;
  /** "g e": the way there by keyboard. */
  keys: string;
  /** Its pages' addresses begin so. */
  prefix: string;
}

interface Entry {
  key: string;
  title: Plain;
  icon: IconName;
  path: string;
  keys: string;
  need: Permission | "admin";
}

const tenantPages: Entry[] = [
  { key: "overview", title: "shell.nav.overview", icon: "overview", path: "/t/:tenant/overview", keys: "g o", need: "read" },
  { key: "events", title: "shell.nav.events", icon: "events", path: "/t/:tenant/events", keys: "g e", need: "read" },
  { key: "endpoints", title: "shell.nav.endpoints", icon: "endpoints", path: "/t/:tenant/endpoints", keys: "g p", need: "read" },
  { key: "types", title: "shell.nav.types", icon: "types", path: "/t/:tenant/types", keys: "g y", need: "read" },
  { key: "streams", title: "shell.nav.streams", icon: "streams", path: "/t/:tenant/streams", keys: "g s", need: "read" },
  { key: "queues", title: "shell.nav.queues", icon: "queues", path: "/t/:tenant/queues", keys: "g q", need: "read" },
  { key: "sources", title: "shell.nav.sources", icon: "sources", path: "/t/:tenant/sources", keys: "g r", need: "read" },
  { key: "settings", title: "shell.nav.settings", icon: "sliders", path: "/t/:tenant/settings", keys: "g i", need: "manage" },
];
const serverPages: Entry[] = [
  { key: "server", title: "shell.nav.overview", icon: "overview", path: "/", keys: "g h", need: "admin" },
  { key: "bins", title: "shell.nav.bins", icon: "bins", path: "/bins", keys: "g b", need: "admin" },
  { key: "tenants", title: "shell.nav.tenants", icon: "tenants", path: "/tenants", keys: "g t", need: "admin" },
  { key: "apikeys", title: "shell.nav.apikeys", icon: "apikeys", path: "/apikeys", keys: "g k", need: "admin" },
  { key: "audit", title: "shell.nav.audit", icon: "audit", path: "/audit", keys: "g a", need: "admin" },
];

function item(entry: Entry, tenant?: string): NavItem {
  const params: Record<string, string> = tenant === undefined ? {} : { tenant };
  const prefix = tenant === undefined ? entry.path : entry.path.replace(":tenant", encodeURIComponent(tenant));
  return { key: entry.key, title: entry.title, icon: entry.icon, keys: entry.keys, prefix, href: href(entry.path, params) };
}

/** The pages of a tenant that the caller may see. */
export function tenantNav(tenant: string | undefined): NavItem[] {
  if (tenant === undefined) return [];
  const pages = tenantPages.filter((e) => can(e.need as Permission, tenant)).map((e) => item(e, tenant));
  if (!session.admin && can("manage", tenant)) {
    pages.push(item({ key: "audit", title: "shell.nav.audit", icon: "audit", path: "/t/:tenant/audit", keys: "g a", need: "manage" }, tenant));
  }
  return pages;
}

/** The pages of the whole server; a bin belongs to a tenant too, so its page is there for all who are let in. */
export function serverNav(): NavItem[] {
  return serverPages.filter((e) => session.admin || (e.key === "bins" && !session.me?.portal)).map((e) => item(e));
}

/** Whether an item's page, or one below it, is shown. */
export function isHere(nav: NavItem, path: string): boolean {
  if (nav.prefix === "/") return path === "/";
  const bare = decodeURI(path);
  const prefix = decodeURI(nav.prefix);
  return bare === prefix || bare.startsWith(`${prefix}/`);
}
