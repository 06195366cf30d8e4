// Why a request was refused, in words, and what to do about it.
import { maybe, t } from "$lib/i18n.svelte";

/** A server's code as a sentence; the detail, which is English, is shown beside it. */
export function reason(code: string): string {
  return maybe(`sources.refused.${code}`, code);
}

/** What to do, for one who looks after the source. */
export function advice(code: string, provider: string): string {
  switch (code) {
    case "missing":
      return t("sources.do.missing", { provider });
    case "malformed":
    case "repeated":
    case "unsupported_encoding":
      return t("sources.do.malformed", { provider });
    case "map_failed":
    case "map_slow":
      return t("sources.do.map");
    case "expired":
    case "replayed":
      return t("sources.do.expired");
    case "address":
      return t("sources.do.address");
    case "no_secret":
    case "wrong_secret":
      return t("sources.do.secret", { provider });
    case "wrong_setting":
      return t("sources.do.setting");
    case "too_large":
      return t("sources.do.large");
    case "fetch":
      return t("sources.do.fetch");
    default:
      return t("sources.do.signature", { provider });
  }
}

/** Where it is mended, if here. */
export function remedy(code: string): "secrets" | "settings" | undefined {
  if (["bad_signature", "no_secret", "wrong_secret"].includes(code)) return "secrets";
  return ["address", "wrong_setting", "map_failed", "map_slow", "expired"].includes(code) ? "settings" : undefined;
}
