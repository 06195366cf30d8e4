// A tenant's limits in words.
import type { Tenant } from "$api";
import { fmt } from "$lib/fmt.svelte";
import { t } from "$lib/i18n.svelte";

/** "50 events/s, 10 endpoints"; without limits of its own: the server's. */
export function limitsText(x: Tenant): string {
  const parts: string[] = [];
  if (x.publish_rate) parts.push(t("admin.limits.rate", { rate: fmt.number(x.publish_rate) }));
  if (x.max_endpoints) parts.push(t("admin.limits.endpoints", { n: x.max_endpoints }));
  return parts.length > 0 ? parts.join(", ") : t("admin.limits.default");
}
