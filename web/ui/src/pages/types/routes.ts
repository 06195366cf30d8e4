import type { Route } from "$lib/routes";

export const routes: Route[] = [
  { path: "/t/:tenant/types", title: "types.title", load: async () => (await import("./pages")).List, portal: true },
  { path: "/t/:tenant/types/:name", title: "types.title", load: async () => (await import("./pages")).Type, portal: true },
];
