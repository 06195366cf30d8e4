import type { Route } from "$lib/routes";

export const routes: Route[] = [
  { path: "/login", title: "login.title", load: async () => (await import("./pages")).Login, bare: true },
];
