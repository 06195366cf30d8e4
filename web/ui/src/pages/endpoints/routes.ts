import type { Route } from "$lib/routes";

export const routes: Route[] = [
  { path: "/t/:tenant/endpoints", title: "endpoints.title", load: async () => (await import("./pages")).List, portal: true },
  { path: "/t/:tenant/endpoints/new", title: "endpoints.title", load: async () => (await import("./form/pages")).Edit, texts: ["endpoints-form"], portal: true },
  { path: "/t/:tenant/endpoints/:id", title: "endpoints.title", load: async () => (await import("./one/pages")).Endpoint, portal: true },
  { path: "/t/:tenant/endpoints/:id/edit", title: "endpoints.title", load: async () => (await import("./form/pages")).Edit, texts: ["endpoints-form"], portal: true },
];
