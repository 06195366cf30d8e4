// What is wrong with a tenant's name while it is typed: pure.
export type NameFault = "capital" | "start" | "letter" | "long";

/** The first rule that a name breaks; undefined: none, or it is empty. */
export function nameFault(name: string): NameFault | undefined {
  if (name === "") return undefined;
  if (/[A-Z]/.test(name)) return "capital";
  if (/^[_-]/.test(name)) return "start";
  if (!/^[a-z0-9_-]+$/.test(name)) return "letter";
  return name.length > 63 ? "long" : undefined;
}

/** The nearest name that is allowed: "Acme Ltd." → "acme-ltd". */
export function suggestName(name: string): string {
  return name
    .normalize("NFD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, "-")
    .replace(/^[_-]+/, "")
    .slice(0, 63)
    .replace(/-+$/, "");
}
