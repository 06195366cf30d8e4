// The area's pages, one chunk.
export { default as Login } from "./Login.svelte";
