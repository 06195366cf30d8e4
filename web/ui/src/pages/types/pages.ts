// The area's pages, one chunk.
export { default as List } from "./List.svelte";
export { default as Type } from "./Type.svelte";
