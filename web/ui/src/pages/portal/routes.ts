import type { Route } from "$lib/routes";

export const routes: Route[] = [
  { path: "/t/:tenant/portal", title: "portal.title", load: async () => (await import("./pages")).Settings },
];
