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
type Czech<M> = M extends string
  ? PlacesOf<M>
  : M extends { readonly one: string; readonly few: string; readonly many: string; readonly other: string }
    ? PlacesOf<M>
    : "needs one, few, many and other";
type Faults<E, C> = {
  [K in keyof E]: K extends keyof C
    ? E[K] extends string
      ? C[K] extends string
        ? Same<PlacesOf<E[K]>, PlacesOf<C[K]>> extends true
          ? C[K]
          : `places differ: ${PlacesOf<E[K]> | PlacesOf<C[K]>}`
        : "a plain text in English"
      : C[K] extends string
        ? "needs one, few, many and other"
        : Same<PlacesOf<E[K]>, Czech<C[K]>> extends true
          ? C[K]
          : "one, few, many, other with the places of the English text"
    : never;
} & { [K in Exclude<keyof C, keyof E>]: "no such English text" };

/** Makes a catalogue; the texts' places are known to the compiler. */
export function english<const E extends Catalogue>(texts: E): E {
  return texts;
}

/** A Czech catalogue of an English one: czech<typeof en>()({…}). A key too few or too many, other places, a missing form: npm run check fails. */
export function czech<E extends Catalogue>() {
  return <const C extends { readonly [K in keyof E]: Message }>(texts: C & Faults<E, C>): C => texts;
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
