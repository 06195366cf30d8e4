import { czech } from "$lib/message";

export default czech({
  "admin.tenants.title": "Tenanti",
  "admin.apikeys.title": "Klíče API",
  "admin.audit.title": "Záznam změn",
});
