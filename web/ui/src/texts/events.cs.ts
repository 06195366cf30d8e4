import { czech } from "$lib/message";

export default czech({
  "events.title": "Události",
});
