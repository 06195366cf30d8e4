// The area's pages, one chunk.
export { default as Tenants } from "./Tenants.svelte";
export { default as Tenant } from "./Tenant.svelte";
export { default as ApiKeys } from "./ApiKeys.svelte";
export { default as Audit } from "./Audit.svelte";
export { default as Sessions } from "./Sessions.svelte";
