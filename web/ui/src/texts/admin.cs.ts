import { czech } from "$lib/message";

export default czech({
  "admin.tenants.title": "Nájemci",
  "admin.apikeys.title": "Klíče API",
  "admin.audit.title": "Záznam změn",
});
