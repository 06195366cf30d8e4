import type { Route } from "$lib/routes";

export const routes: Route[] = [
  { path: "/t/:tenant/types", title: "types.title", load: async () => (await import("./pages")).List, portal: true },
  { path: "/t/:tenant/types/:name", title: "types.title", load: async () => (await import("./pages")).Type, portal: true },
  // "-" keeps it apart from a type called "new".
  { path: "/t/:tenant/types/-/new", title: "types.new", load: async () => (await import("./pages")).Edit },
  { path: "/t/:tenant/types/:name/edit", title: "types.edit", load: async () => (await import("./pages")).Edit },
];
