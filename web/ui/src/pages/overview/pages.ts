// The area's pages, one chunk.
export { default as Server } from "./Server.svelte";
export { default as Tenant } from "./Tenant.svelte";
