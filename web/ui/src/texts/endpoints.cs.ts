import { czech } from "$lib/message";

export default czech({
  "endpoints.title": "Koncové body",
});
