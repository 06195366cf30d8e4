// The language: texts, numbers, times. English is the source; each language is a chunk of its own.
import type en from "../texts/en";
import { format, type Catalogue, type Message, type PlacesOf, type PluralForm, type Values } from "./message";

export type Texts = typeof en;
export type Key = keyof Texts;
/** The keys of texts without places: titles, labels. */
export type Plain = { [K in Key]: [PlacesOf<Texts[K]>] extends [never] ? K : never }[Key];
export type Language = "en" | "cs";
export const languages: readonly { code: Language; name: string }[] = [
  { code: "en", name: "English" },
  { code: "cs", name: "Čeština" },
];

const KEY = "posthorn.language";
type Loader = () => Promise<{ default: Catalogue }>;
const core: Record<Language, Loader> = {
  en: () => import("../texts/core.en"),
  cs: () => import("../texts/core.cs"),
};
/** The areas' texts by "../texts/<area>.<language>.ts". */
const areas: Partial<Record<string, Loader>> = import.meta.glob<{ default: Catalogue }>(["../texts/*.en.ts", "../texts/*.cs.ts", "!../texts/common.*", "!../texts/core.*", "!../texts/login.*", "!../texts/portal.*"]);
/** The areas whose pages have been opened. */
const wanted = new Set<string>();

let code = $state<Language>("en");
let texts = $state.raw<Catalogue>({});
const plurals = $derived(new Intl.PluralRules(code));
const numbers = $derived(new Intl.NumberFormat(code));

/** The language of ours that a tag such as "cs-CZ" means, if there is one. */
export function known(tag: string | null | undefined): Language | undefined {
  const short = tag?.toLowerCase().split("-")[0];
  return languages.find((l) => l.code === short)?.code;
}

/** The language to begin with: the one chosen, else the browser's. */
export function preferred(): Language {
  let kept: string | null = null;
  try {
    kept = localStorage.getItem(KEY);
  } catch {
    // No storage in this frame.
  }
  return known(kept) ?? navigator.languages.map(known).find((l) => l !== undefined) ?? "en";
}

let chosen: Language = "en";
let turn = 0;
let pending: Promise<void> = Promise.resolve();
let here: ReadonlySet<string> = new Set(); // the areas whose texts are shown

/** Shows the chosen language with what is wanted of it; the newest call wins, and the older ones wait for it. */
async function show(): Promise<void> {
  const mine = ++turn;
  const to = chosen;
  const names = [...wanted];
  const parts = await Promise.all([core[to], ...names.map((area) => areas[`../texts/${area}.${to}.ts`])].map((one) => one?.()));
  if (mine !== turn) return pending;
  texts = Object.assign({}, ...parts.map((part) => part?.default)) as Catalogue;
  code = to;
  here = new Set(names);
  document.documentElement.lang = to;
}

/** Loads the texts of areas before their pages are shown. Error: they could not be loaded. */
export async function loadTexts(...names: readonly string[]): Promise<void> {
  const missing = names.filter((name) => !here.has(name));
  if (missing.length === 0) return;
  for (const name of missing) wanted.add(name);
  pending = show();
  try {
    await pending;
  } catch (error) {
    for (const name of missing) wanted.delete(name);
    throw error;
  }
}

/** Loads a language and shows it. keep: as the choice of the person. */
export async function setLanguage(to: Language, keep = true): Promise<void> {
  const before = chosen;
  chosen = to;
  pending = show();
  try {
    await pending;
  } catch (error) {
    chosen = before;
    throw error;
  }
  if (!keep) return;
  try {
    localStorage.setItem(KEY, to);
  } catch {
    // It holds until the page is closed.
  }
}

export const lang = {
  get code(): Language {
    return code;
  },
};

type Arguments<K extends Key> = [PlacesOf<Texts[K]>] extends [never] ? [] : [values: Values<Texts[K]>];

/** The text of a key in the language shown: t("events.count", {n}). */
export function t<K extends Key>(key: K, ...values: Arguments<K>): string {
  const message = (texts as Record<string, Message | undefined>)[key];
  if (message === undefined) return key;
  return format(message, values[0] ?? {}, (n) => plurals.select(n) as PluralForm, (n) => numbers.format(n));
}

/** The text of a key made at run time (a code of the server), or the fallback if there is none. */
export function maybe(key: string, fallback: string): string {
  const message = (texts as Record<string, Message | undefined>)[key];
  return typeof message === "string" ? message : fallback;
}
