// Where a text is no JSON: pure.
import { parse } from "./json";

export interface Fault {
  /** From 1; 0 when the place is not known. */
  line: number;
  column: number;
  why: string;
}

/** What is wrong with a JSON text; undefined when nothing is, or when it is empty. */
export function jsonFault(text: string): Fault | undefined {
  if (text.trim() === "") return undefined;
  try {
    parse(text);
    return undefined;
  } catch (error) {
    const at = /no JSON at (\d+)/.exec(error instanceof Error ? error.message : "")?.[1];
    const why = reason(text);
    if (at === undefined) return { line: 0, column: 0, why };
    const before = text.slice(0, Number(at)).split("\n");
    return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1, why };
  }
}

/** The browser's own words, without the text itself. */
function reason(text: string): string {
  try {
    JSON.parse(text);
    return "not JSON";
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return message.replace(/ \(line \d+ column \d+\)$/, "").replace(/ in JSON at position \d+$| at position \d+$/, "").replace(/, "[\s\S]*$|, \.\.\."[\s\S]*$/, "");
  }
}
