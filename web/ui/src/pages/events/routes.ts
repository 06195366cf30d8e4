import type { Route } from "$lib/routes";

export const routes: Route[] = [
  { path: "/t/:tenant/events", title: "events.title", load: async () => (await import("./pages")).List, portal: true },
  { path: "/t/:tenant/events/:id", title: "events.title", load: async () => (await import("./pages")).Event, portal: true },
];
