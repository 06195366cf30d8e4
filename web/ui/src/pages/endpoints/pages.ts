// The list, a chunk of its own; one endpoint's page and the form are others.
export { default as List } from "./List.svelte";
