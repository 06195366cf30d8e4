// Why a request was refused, in words.
import { maybe } from "$lib/i18n.svelte";

/** A server's code as a sentence; the detail, which is English, is shown beside it. */
export function reason(code: string): string {
  return maybe(`sources.refused.${code}`, code);
}
