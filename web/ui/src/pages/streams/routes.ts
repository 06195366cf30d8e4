import type { Route } from "$lib/routes";

export const routes: Route[] = [
  { path: "/t/:tenant/streams", title: "streams.title", load: async () => (await import("./pages")).List },
];
