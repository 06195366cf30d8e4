// The arithmetic of a list that draws only the rows in view: pure.
export interface Window {
  /** The first row drawn and the one after the last. */
  from: number;
  to: number;
  /** The height of all rows, px. */
  height: number;
}

/** Which rows to draw for a scroll position; `over` more on each side. */
export function visible(count: number, rowHeight: number, top: number, view: number, over = 8): Window {
  const first = Math.max(0, Math.min(count, Math.floor(top / rowHeight)));
  const last = Math.max(first, Math.min(count, Math.ceil((top + view) / rowHeight)));
  return { from: Math.max(0, first - over), to: Math.min(count, last + over), height: count * rowHeight };
}

/** How far rows moved down when others were put on top: 0 if the anchor is gone or did not move. */
export function shift(before: readonly string[], after: readonly string[], anchor: number): number {
  const key = before[anchor];
  if (key === undefined) return 0;
  if (after[anchor] === key) return 0;
  const now = after.indexOf(key);
  return now < 0 ? 0 : now - anchor;
}

/** Where the scroll must be so that a row is wholly in view: the same as it was if it is already. */
export function reveal(index: number, rowHeight: number, top: number, view: number, header = 0): number {
  const start = index * rowHeight;
  if (start < top) return start;
  const room = view - header;
  if (start + rowHeight > top + room) return Math.max(0, start + rowHeight - room);
  return top;
}

/** The row that a key goes to; undefined if the key is not one of a list. */
export function step(key: string, at: number, count: number, page: number): number | undefined {
  if (count === 0) return undefined;
  const last = count - 1;
  const clamp = (n: number): number => Math.max(0, Math.min(last, n));
  switch (key) {
    case "ArrowDown":
      return clamp(at + 1);
    case "ArrowUp":
      return at < 0 ? 0 : clamp(at - 1);
    case "PageDown":
      return clamp((at < 0 ? 0 : at) + page);
    case "PageUp":
      return clamp(at - page);
    case "Home":
      return 0;
    case "End":
      return last;
    default:
      return undefined;
  }
}
