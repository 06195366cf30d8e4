import { english } from "$lib/message";

export default english({
  "endpoints.title": "Endpoints",
});
