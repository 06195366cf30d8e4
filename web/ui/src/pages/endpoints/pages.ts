// The area's pages, one chunk.
export { default as List } from "./List.svelte";
export { default as Edit } from "./Edit.svelte";
export { default as Endpoint } from "./Endpoint.svelte";
