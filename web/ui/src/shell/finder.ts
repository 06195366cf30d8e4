// What opens over a page, a chunk of its own: the palette and the list of shortcuts.
export { default as Palette } from "./Palette.svelte";
export { default as Shortcuts } from "./Shortcuts.svelte";
