import { czech } from "$lib/message";
import type en from "./admin.en";

export default czech<typeof en>()({
  "admin.tenants.title": "Nájemci",
  "admin.apikeys.title": "Klíče API",
  "admin.audit.title": "Záznam změn",
});
