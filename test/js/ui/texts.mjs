// The UI's own texts, read from its source, so that a test names a control by what it is, and not by today's wording.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../../../web/ui/src/texts/", import.meta.url));

function catalogue(language) {
  const all = {};
  for (const file of readdirSync(folder).filter((name) => name.endsWith(`.${language}.ts`))) {
    const source = readFileSync(folder + file, "utf8");
    if (!source.includes("({")) continue; // it only gathers others
    Object.assign(all, new Function(`return ${source.slice(source.indexOf("({") + 1, source.lastIndexOf(")"))}`)());
  }
  return all;
}

export const english = catalogue("en");
export const czech = catalogue("cs");

/** A text with its places filled; n chooses the plural form. */
export function t(key, values = {}, texts = english) {
  const found = texts[key];
  if (found === undefined) throw new Error(`the UI has no text ${key}`);
  const form = typeof found === "string" ? found : (found[new Intl.PluralRules(texts === english ? "en" : "cs").select(values.n)] ?? found.other);
  return form.replace(/\{(\w+)\}/g, (place, name) => (name in values ? String(values[name]) : place));
}

/** A pattern that a text fits with anything in its places. */
export function like(key) {
  const forms = typeof english[key] === "string" ? [english[key]] : Object.values(english[key] ?? {});
  if (forms.length === 0) throw new Error(`the UI has no text ${key}`);
  return new RegExp(forms.map((form) => form.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{\w+\}/g, ".*")).join("|"));
}
