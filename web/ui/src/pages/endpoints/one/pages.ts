// The page of one endpoint, a chunk of its own.
export { default as Endpoint } from "./Endpoint.svelte";
