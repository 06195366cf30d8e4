// Whether a text is JSON, and where it is not: pure.
/** What is wrong with a JSON text, with its line and column; undefined when nothing is. Empty is fine. */
export function faultOf(text: string): string | undefined {
  if (text.trim() === "") return undefined;
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const at = /position (\d+)/.exec(message)?.[1];
    const clean = message.replace(/ in JSON at position \d+.*$| at position \d+.*$|, "[\s\S]*$/, "");
    return at === undefined ? clean : `${lineAndColumn(text, Number(at))}: ${clean}`;
  }
}

function lineAndColumn(text: string, at: number): string {
  const before = text.slice(0, at).split("\n");
  return `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
}
