// What the server says of providers, which is English: in the reader's language where the catalogue has it.
import type { Provider } from "$api";
import { lang, maybe } from "$lib/i18n.svelte";

/** "the secret of the webhook" as the reader reads it; what the catalogue lacks stays as it is. */
export function said(text: string): string {
  if (lang.code === "en") return text;
  const slug = text.toLowerCase().replace(/[^a-z0-9]+/g, "_").slice(0, 44).replace(/^_|_$/g, "");
  return maybe(`sources.said.${slug}`, text);
}

/** A provider's title; of those for any sender, which are no names, in the reader's language. */
export function titleOf(p: Pick<Provider, "name" | "title"> | undefined, name: string): string {
  return p ? maybe(`sources.generic.${p.name}`, p.title) : name;
}
