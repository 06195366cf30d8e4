// An audit entry in words.
import type { AuditActor, AuditEntry } from "$api";
import { maybe, t } from "$lib/i18n.svelte";
import { href } from "$lib/router.svelte";

/** All operations that leave entries, for the filter. */
export const actions = [
  "create-tenant", "patch-tenant", "replace-tenant", "delete-tenant",
  "create-endpoint", "patch-endpoint", "replace-endpoint", "delete-endpoint", "pause-endpoint", "resume-endpoint", "disable-endpoint", "retry-endpoint", "replay-endpoint", "cancel-replay", "rotate-secret",
  "resend-event", "create-event-type", "patch-event-type", "replace-event-type", "delete-event-type",
  "put-queue", "delete-queue", "retry-queue-dead-letters",
  "create-source", "patch-source", "replace-source", "delete-source", "add-source-secret",
  "create-bin", "patch-bin", "replace-bin", "delete-bin", "delete-bin-requests", "delete-bin-request", "patch-bin-request", "replay-bin-request",
  "set-up-tunnel", "delete-tunnel", "end-stream", "enable-changelog", "disable-changelog",
  "put-portal", "create-portal-link", "create-token", "rotate-tokens",
  "create-apikey", "rotate-apikey", "delete-apikey",
  "log-in", "log-out", "log-out-everywhere", "log-out-at-provider", "end-session", "backup",
] as const;

/** What was done: "Changed endpoint"; an operation that is not known here by its own name. */
export const actionText = (action: string): string => maybe(`admin.action.${action}`, action);

/** Who did it; the server itself and strangers have no name. */
export function actorName(by: AuditActor): string {
  if (by.kind === "system") return t("admin.audit.system");
  if (by.kind === "unknown") return t("admin.audit.stranger");
  return by.name || by.id || t(`shell.role.${by.kind}`);
}

/** What kind of caller that was: "API key", "Person". */
export const actorKind = (by: AuditActor): string => (by.kind === "system" || by.kind === "unknown" ? "" : t(`shell.role.${by.kind}`));

/** Where the thing that an entry is about can be seen, as far as it has a page and is not deleted by this entry. */
export function thingHref(e: AuditEntry): string | undefined {
  const id = e.resource_id;
  if (!id || (e.action.startsWith("delete-") && e.outcome === "done")) return undefined;
  if (e.resource === "tenant") return href("/tenants/:name", { name: id });
  if (e.resource === "bin") return href("/bins/:id", { id });
  if (e.resource === "apikey") return href("/apikeys");
  const tenant = e.tenant;
  if (!tenant) return undefined;
  switch (e.resource) {
    case "endpoint":
      return href("/t/:tenant/endpoints/:id", { tenant, id });
    case "event":
      return href("/t/:tenant/events/:id", { tenant, id });
    case "event-type":
      return href("/t/:tenant/types/:name", { tenant, name: id });
    case "queue":
      return href("/t/:tenant/queues/:name", { tenant, name: id });
    case "source":
      return href("/t/:tenant/sources/:name", { tenant, name: id });
  }
  return undefined;
}

/** A changed value as text: JSON pretty, texts without quotes, nothing as undefined. */
export function valueText(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/** Whether a change hides its values, as it does of secrets. */
export const masked = (field: string, from: unknown, to: unknown): boolean => from === undefined && to === "changed" && /secret|key|password|token|header|auth|settings/i.test(field);

/** What the thing calls itself, out of the entry's own values: "Shop: orders". */
export function thingLabel(e: AuditEntry): string | undefined {
  for (const field of ["description", "name", "url"]) {
    const change = e.changes?.find((c) => c.field === field);
    const value = change?.to ?? change?.from;
    if (typeof value === "string" && value !== "" && value !== e.resource_id) return value;
  }
  return undefined;
}

/** The fields that a change of something changed; of what was made or deleted they tell nothing new. */
export function changedFields(e: AuditEntry): string[] {
  const all = e.changes ?? [];
  const made = all.some((c) => (c.field === "name" || c.field === "id") && c.from === undefined);
  return made || /^(create|delete)-/.test(e.action) ? [] : all.map((c) => c.field);
}
