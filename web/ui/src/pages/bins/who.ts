// In whose name bins are asked for: they are outside of tenants, so a person with several says which.
import { lastTenant, session } from "$lib/session.svelte";

/** The tenant to name to the server; undefined for admins, who see all, and for keys, which have one. */
export function asTenant(chosen: string): string | undefined {
  const me = session.me;
  if (!me || me.admin || me.tenant) return undefined;
  return chosen || session.tenants[0] || lastTenant();
}

/** Whether the caller may change a bin. */
export function mayChange(tenant: string | undefined): boolean {
  const me = session.me;
  if (!me) return false;
  if (me.admin) return true;
  if (me.tenant) return me.allow?.includes("manage") ?? false;
  return (me.grants ?? []).some((g) => (g.tenant === tenant || g.tenant === "*") && g.allow.includes("manage"));
}
