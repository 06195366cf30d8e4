// The area's pages, one chunk.
export { default as List } from "./List.svelte";
export { default as Type } from "./Type.svelte";
export { default as Edit } from "./Edit.svelte";
