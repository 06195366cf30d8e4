import type { Route } from "$lib/routes";

export const routes: Route[] = [
  { path: "/t/:tenant/sources", title: "sources.title", load: async () => (await import("./pages")).List },
  { path: "/t/:tenant/sources/:name", title: "sources.title", load: async () => (await import("./pages")).Source },
];
