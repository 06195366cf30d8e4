// Keyboard shortcuts and the actions of the palette: pages register theirs while they are shown.
import { untrack } from "svelte";
import { SvelteMap } from "svelte/reactivity";

export interface Command {
  /** Stable, unique on the page: "endpoints.new". */
  id: string;
  /** The text shown, already in the language: t("endpoints.new"). */
  label: string;
  /** A section in the palette; pages leave it out. */
  group?: string;
  /** An icon's name. */
  icon?: string;
  /** "n", "r", "g e" (one after the other), "mod+enter", "space". Shown by "?". */
  keys?: string;
  /** More words that find it. */
  words?: string;
  run: () => void;
}

/** What a page makes: it leads to a form's page, or opens a form. */
export interface Making {
  /** The button's text: t("endpoints.new"). */
  label: string;
  href?: string;
  run?: () => void;
}

const sets = new SvelteMap<symbol, Command[]>();

/** All commands registered now, the newest set first. */
export function commands(): Command[] {
  return [...sets.values()].reverse().flat();
}

/** Registers commands for as long as the component lives: useCommands(() => [{id, label: t("…"), keys: "n", run}]). */
export function useCommands(make: () => Command[]): void {
  const id = Symbol("commands");
  $effect(() => {
    const list = make();
    untrack(() => sets.set(id, list));
    return () => {
      untrack(() => sets.delete(id));
    };
  });
}

let pending = "";
let timer: ReturnType<typeof setTimeout> | undefined;

function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && !["checkbox", "radio", "button", "submit", "range"].includes(target.type);
}

function named(event: KeyboardEvent): string {
  const key = event.key === " " ? "space" : event.key.toLowerCase();
  return (event.ctrlKey || event.metaKey ? "mod+" : "") + (event.altKey ? "alt+" : "") + key;
}

/** Whether the space bar is for what has the focus: buttons are pressed by it. */
function pressable(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("a, button, input, summary, [role=slider], [role=tree], [role=tablist], [role=menu]") !== null;
}

/** The keyboard of the whole app; the shell calls it for each key. */
export function onKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing || event.repeat) return;
  const key = named(event);
  const plain = !key.startsWith("mod+") && !key.startsWith("alt+");
  if (plain && (typing(event.target) || document.querySelector("dialog[open]"))) return;
  if (key === "space" && pressable(event.target)) return;
  if (key === "/" && focusSearch()) {
    event.preventDefault();
    return;
  }
  const chord = pending ? `${pending} ${key}` : key;
  clearTimeout(timer);
  pending = "";
  const all = commands().filter((c) => c.keys);
  const hit = all.find((c) => c.keys === chord) ?? all.find((c) => c.keys === key);
  if (hit) {
    event.preventDefault();
    hit.run();
    return;
  }
  if (plain && all.some((c) => c.keys?.startsWith(`${key} `))) {
    pending = key;
    timer = setTimeout(() => (pending = ""), 1200);
  }
}

/** Focuses the page's search: the first input with data-search. */
function focusSearch(): boolean {
  const input = document.querySelector<HTMLInputElement>("main input[data-search]");
  input?.focus();
  input?.select();
  return input !== null;
}

const mac = /Mac|iPhone|iPad/.test(navigator.platform);

/** Keys as they are printed: "mod+k" → ["⌘","K"] or ["Ctrl","K"]. */
export function printed(keys: string): string[] {
  return keys.split(/[ +]/).map((k) => (k === "mod" ? (mac ? "⌘" : "Ctrl") : k === "enter" ? "↵" : k === "space" ? "Space" : k.length === 1 ? k.toUpperCase() : k));
}
