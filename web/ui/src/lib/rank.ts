// Finds by a few letters: every word must occur; the beginnings of words count more. Pure.
function score(q: string, text: string): number {
  const hay = fold(text);
  let sum = 0;
  for (const word of fold(q).split(/\s+/)) {
    if (word === "") continue;
    const at = hay.indexOf(word);
    if (at < 0) {
      if (!inOrder(word, hay)) return -1;
      sum += 1;
    } else sum += at === 0 ? 10 : /[^a-z0-9]/.test(hay.charAt(at - 1)) ? 8 : 4;
  }
  return sum;
}

function fold(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

function inOrder(word: string, hay: string): boolean {
  if (word.length > 6) return false;
  let at = 0;
  for (const c of word) {
    at = hay.indexOf(c, at) + 1;
    if (at === 0) return false;
  }
  return at <= word.length * 4;
}

/** The items that match, the best first; all in their order for an empty search. */
export function rank<T>(q: string, items: readonly T[], text: (item: T) => string): T[] {
  if (q.trim() === "") return [...items];
  return items
    .map((item, i) => ({ item, i, s: score(q, text(item)) }))
    .filter((x) => x.s >= 0)
    .sort((a, b) => b.s - a.s || a.i - b.i)
    .map((x) => x.item);
}
