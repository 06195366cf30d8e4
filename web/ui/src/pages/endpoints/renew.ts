// A page of a list that is asked again: what changed is put in, what no longer belongs there goes, the rest stays. Pure.
export interface Came {
  cursor: string | undefined;
  /** The ids of the rows that came with the cursor, ascending. */
  ids: string[];
}

/** The rows with a page's newest state. Lists are by id; more says that the page has a next one. */
export function renew<T extends { id: string }>(rows: readonly T[], page: Came, fresh: readonly T[], more: boolean): T[] {
  const last = more ? fresh.at(-1)?.id : undefined;
  // Rows that were pushed over the page's end by new ones are still there; the next page does not know them.
  const beyond = last === undefined ? [] : page.ids.filter((id) => id > last);
  const replaced = new Set([...page.ids.filter((id) => !beyond.includes(id)), ...fresh.map((e) => e.id)]);
  page.ids = [...fresh.map((e) => e.id), ...beyond];
  const kept = rows.filter((row) => !replaced.has(row.id));
  const first = fresh[0]?.id;
  if (first === undefined) return kept;
  const at = kept.findIndex((row) => row.id > first);
  return at < 0 ? [...kept, ...fresh] : [...kept.slice(0, at), ...fresh, ...kept.slice(at)];
}
