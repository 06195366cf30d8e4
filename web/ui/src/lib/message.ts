// Texts with {places} and plural forms: pure.
export type PluralForm = "zero" | "one" | "two" | "few" | "many" | "other";
/** Plural forms by Intl.PluralRules of the place n; "other" is needed. */
export type Forms = { readonly [F in PluralForm]?: string } & { readonly other: string };
export type Message = string | Forms;
export type Catalogue = Readonly<Record<string, Message>>;

type Places<S extends string> = S extends `${string}{${infer P}}${infer R}` ? P | Places<R> : never;
/** The places of a message: "n" | "name". A message with forms always has n. */
export type PlacesOf<M> = M extends string ? Places<M> : M extends Forms ? "n" | Places<Extract<M[keyof M], string>> : never;
export type Values<M> = { [P in PlacesOf<M>]: P extends "n" ? (M extends string ? string | number : number) : string | number };

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
type FourForms = { readonly one: string; readonly few: string; readonly many: string; readonly other: string };
/** What is wrong with one Czech message, or never. */
type Fault<E, C> = E extends string
  ? C extends string
    ? Same<PlacesOf<E>, PlacesOf<C>> extends true
      ? never
      : "other {places} than in English"
    : "English has no plural forms here"
  : C extends FourForms
    ? Same<PlacesOf<E>, PlacesOf<C>> extends true
      ? never
      : "other {places} than in English"
    : "needs one, few, many and other";
type Faults<E, C> =
  | { [K in keyof E & string]: K extends keyof C ? (Fault<E[K], C[K]> extends infer F extends string ? `${K}: ${F}` : never) : `${K}: missing` }[keyof E & string]
  | { [K in Exclude<keyof C, keyof E> & string]: `${K}: no such text in English` }[Exclude<keyof C, keyof E> & string];
/** true when a Czech catalogue fits the English one, else what does not: `true satisfies Complete<typeof en, typeof cs>`. */
export type Complete<E, C> = { [F in Faults<E, C>]: false } extends infer Bad ? ({} extends Bad ? true : Bad) : never;

/** Makes a catalogue; the texts' places are known to the compiler. */
export function english<const E extends Catalogue>(texts: E): E {
  return texts;
}

/** A Czech catalogue. texts/cs.ts checks all of them against the English ones. */
export function czech<const C extends Catalogue>(texts: C): C {
  return texts;
}

const PLACE = /\{(\w+)\}/g;

/** Fills a message: the form by the number n, numbers as the language writes them. */
export function format(
  message: Message,
  values: Readonly<Record<string, string | number>>,
  plural: (n: number) => PluralForm,
  number: (n: number) => string,
): string {
  const text = typeof message === "string" ? message : (message[plural(Number(values.n))] ?? message.other);
  return text.replace(PLACE, (whole, name: string) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    return value === undefined ? whole : typeof value === "number" ? number(value) : value;
  });
}
