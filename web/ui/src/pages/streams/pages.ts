// The area's pages, one chunk.
export { default as List } from "./List.svelte";
