// The area's pages, one chunk; the form is another, because few who look at endpoints change them.
export { default as List } from "./List.svelte";
export { default as Endpoint } from "./Endpoint.svelte";
