import type { Route } from "$lib/routes";

export const routes: Route[] = [
  { path: "/tenants", title: "admin.tenants.title", load: async () => (await import("./pages")).Tenants },
  { path: "/tenants/:name", title: "admin.tenant.title", load: async () => (await import("./pages")).Tenant },
  { path: "/t/:tenant/settings", title: "admin.tenant.title", load: async () => (await import("./pages")).Tenant },
  { path: "/apikeys", title: "admin.apikeys.title", load: async () => (await import("./pages")).ApiKeys },
  { path: "/audit", title: "admin.audit.title", load: async () => (await import("./pages")).Audit },
  { path: "/t/:tenant/audit", title: "admin.audit.title", load: async () => (await import("./pages")).Audit },
  { path: "/sessions", title: "admin.sessions.title", load: async () => (await import("./pages")).Sessions },
];
