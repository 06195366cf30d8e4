// Replays of an endpoint's page, a chunk of its own: few open them.
export { default as Replay } from "./Replay.svelte";
