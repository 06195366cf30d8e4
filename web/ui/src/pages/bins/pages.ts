// The area's pages, one chunk.
export { default as List } from "./List.svelte";
export { default as Bin } from "./Bin.svelte";
