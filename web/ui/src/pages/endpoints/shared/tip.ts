// What to do about an answer, or about none: by the status, or by the cause that the server gives.
import { maybe, t } from "$lib/i18n.svelte";

const byStatus: Record<number, "auth" | "notFound" | "method" | "gone" | "large" | "busy" | "refusedBody"> = {
  400: "refusedBody",
  401: "auth",
  403: "auth",
  404: "notFound",
  405: "method",
  410: "gone",
  413: "large",
  422: "refusedBody",
  429: "busy",
};

export function tip(of: { status: number; verdict: string; cause?: string | undefined }): string {
  if (of.verdict === "delivered") return "";
  if (of.status === 0) return maybe(`endpoints.tip.none.${of.cause ?? "other"}`, t("endpoints.tip.none.other"));
  const known = byStatus[of.status];
  if (known) return t(`endpoints.tip.${known}`);
  if (of.status < 400) return t("endpoints.tip.redirect");
  return t(of.status < 500 ? "endpoints.tip.refusedBody" : "endpoints.tip.server");
}
