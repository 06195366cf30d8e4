import type { Route } from "$lib/routes";

export const routes: Route[] = [
  { path: "/", title: "overview.title", load: async () => (await import("./pages")).Server },
  { path: "/t/:tenant/overview", title: "overview.title", load: async () => (await import("./pages")).Tenant, portal: true },
];
