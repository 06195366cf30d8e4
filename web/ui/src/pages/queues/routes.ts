import type { Route } from "$lib/routes";

export const routes: Route[] = [
  { path: "/t/:tenant/queues", title: "queues.title", load: async () => (await import("./pages")).List },
  { path: "/t/:tenant/queues/:name", title: "queues.title", load: async () => (await import("./pages")).Queue },
];
