// The area's pages, one chunk.
export { default as Settings } from "./Settings.svelte";
