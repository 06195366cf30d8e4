// The providers that the server knows; asked once, they change with the server's version only.
import type { Provider } from "$api";
import { api } from "$lib/api";
import { load, type Loaded } from "$lib/load.svelte";
import { ordered } from "./draft";

let kept: Provider[] | undefined;

/** Call it while the component is set up. */
export function providers(): Loaded<Provider[]> {
  return load(async (signal) => (kept ??= ordered((await api.get("/v1/providers", { signal })).data ?? [])));
}

export function providerOf(list: readonly Provider[] | undefined, name: string | undefined): Provider | undefined {
  return list?.find((p) => p.name === name || (p.aliases ?? []).includes(name ?? ""));
}
