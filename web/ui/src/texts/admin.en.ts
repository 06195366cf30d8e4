import { english } from "$lib/message";

export default english({
  "admin.tenants.title": "Tenants",
  "admin.apikeys.title": "API keys",
  "admin.audit.title": "Audit log",
});
