// The secret of an endpoint's page, a chunk of its own: few open it.
export { default as Secret } from "./Secret.svelte";
