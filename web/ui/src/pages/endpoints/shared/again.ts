// Sends one event to one endpoint again.
import { api } from "$lib/api";
import { t } from "$lib/i18n.svelte";
import { done, failed } from "$lib/toast.svelte";

export async function again(tenant: string, endpoint: string, event: string): Promise<void> {
  try {
    await api.post("/v1/tenants/{tenant}/events/{event}/resend", { path: { tenant, event }, body: { endpoint } });
    done(t("endpoints.again.done"));
  } catch (error) {
    failed(error);
  }
}
