import type { Route } from "$lib/routes";

export const routes: Route[] = [
  { path: "/bins", title: "bins.title", load: async () => (await import("./pages")).List },
  { path: "/bins/:id", title: "bins.title", load: async () => (await import("./pages")).Bin },
];
