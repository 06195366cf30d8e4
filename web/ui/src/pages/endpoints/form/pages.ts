// The form of an endpoint, a chunk of its own.
export { default as Edit } from "./Edit.svelte";
