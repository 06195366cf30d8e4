// The area's pages, one chunk.
export { default as Edit } from "./Edit.svelte";
export { default as List } from "./List.svelte";
export { default as New } from "./New.svelte";
export { default as Source } from "./Source.svelte";
