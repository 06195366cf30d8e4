// Every page of the UI, with data in it: accessible in both themes, as wide as a phone, still, in Czech, and pictured.
import assert from "node:assert/strict";
import { flow, routes } from "./harness.mjs";
import { listeners, seed } from "./seed.mjs";

/** Each route that the UI has: a picture's name and an address. A route that is not here fails the flow. */
function places({ endpoints, bins }) {
  return {
    "/t/:tenant/events": ["events", "/ui/t/acme/events"],
    "/t/:tenant/events/:id": ["event", "/ui/t/acme/events/seed-21"],
    "/t/:tenant/endpoints": ["endpoints", "/ui/t/acme/endpoints"],
    "/t/:tenant/endpoints/new": ["endpoint-new", "/ui/t/acme/endpoints/new"],
    "/t/:tenant/endpoints/:id": ["endpoint", `/ui/t/acme/endpoints/${endpoints.shop.id}`],
    "/t/:tenant/endpoints/:id/edit": ["endpoint-edit", `/ui/t/acme/endpoints/${endpoints.large.id}/edit`],
    "/t/:tenant/types": ["types", "/ui/t/acme/types"],
    "/t/:tenant/types/-/new": ["type-new", "/ui/t/acme/types/-/new"],
    "/t/:tenant/types/:name": ["type", "/ui/t/acme/types/order.paid"],
    "/t/:tenant/types/:name/edit": ["type-edit", "/ui/t/acme/types/order.paid/edit"],
    "/t/:tenant/streams": ["streams", "/ui/t/acme/streams"],
    "/t/:tenant/queues": ["queues", "/ui/t/acme/queues"],
    "/t/:tenant/queues/:name": ["queue", "/ui/t/acme/queues/billing"],
    "/t/:tenant/sources": ["sources", "/ui/t/acme/sources"],
    "/t/:tenant/sources/-/new": ["source-new", "/ui/t/acme/sources/-/new"],
    "/t/:tenant/sources/:name": ["source", "/ui/t/acme/sources/github"],
    "/t/:tenant/sources/:name/edit": ["source-edit", "/ui/t/acme/sources/github/edit"],
    "/t/:tenant/settings": ["tenant-settings", "/ui/t/acme/settings"],
    "/t/:tenant/portal": ["portal-settings", "/ui/t/acme/portal"],
    "/t/:tenant/audit": ["tenant-audit", "/ui/t/acme/audit"],
    "/bins": ["bins", "/ui/bins"],
    "/bins/:id": ["bin", `/ui/bins/${bins[0].id}`],
    "/tenants": ["tenants", "/ui/tenants"],
    "/tenants/:name": ["tenant-admin", "/ui/tenants/acme"],
    "/sessions": ["sessions", "/ui/sessions"],
    "/apikeys": ["apikeys", "/ui/apikeys"],
    "/audit": ["audit", "/ui/audit"],
    "/": ["overview", "/ui/"],
    "/t/:tenant/overview": ["tenant", "/ui/t/acme/overview"],
  };
}

/** Publishes orders for some time, more and fewer of them. */
async function traffic(ui, ms) {
  for (const end = Date.now() + ms; Date.now() < end; ) {
    const left = end - Date.now();
    const orders = Math.round(8 + 4 * Math.sin(left / 9000) + 2 * Math.sin(left / 2300));
    const events = Array.from({ length: orders }, (_, i) => ({ type: "order.paid", subject: `order/${2000 + i}`, data: { order: `${2000 + i}`, total: `${100 + i}.00`, currency: "CZK" } }));
    await ui.api("POST", "/v1/tenants/acme/events", events);
    await new Promise((go) => setTimeout(go, 250));
  }
}

await flow("pages", async (ui) => {
  const seeded = await seed(ui);
  await listeners(ui, seeded.keys.support.key);
  const table = places(seeded);
  await ui.step("every route is here", () => {
    assert.deepEqual([...routes].filter((r) => r !== "/login").sort(), Object.keys(table).sort());
  });

  const page = await ui.page();
  for (const [route, [name, address]] of Object.entries(table)) {
    if (route === "/" && process.env.UPDATE_SCREENS === "1") await ui.step("a minute of orders, for the curves of the pictures", () => traffic(ui, 60_000));
    await ui.step(route, async () => {
      await ui.open(page, address);
      await ui.look(page, name);
    });
  }
});
