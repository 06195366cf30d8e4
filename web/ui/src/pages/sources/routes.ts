import type { Route } from "$lib/routes";

export const routes: Route[] = [
  { path: "/t/:tenant/sources", title: "sources.title", load: async () => (await import("./pages")).List },
  { path: "/t/:tenant/sources/-/new", title: "sources.new", load: async () => (await import("./pages")).New },
  { path: "/t/:tenant/sources/:name", title: "sources.title", load: async () => (await import("./pages")).Source },
  { path: "/t/:tenant/sources/:name/edit", title: "sources.title", load: async () => (await import("./pages")).Edit },
];
