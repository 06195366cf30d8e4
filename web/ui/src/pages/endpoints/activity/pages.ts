// What an endpoint did, with its charts: a part of its page, a chunk of its own.
export { default as Activity } from "./Activity.svelte";
