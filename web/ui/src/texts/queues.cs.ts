import { czech } from "$lib/message";

export default czech({
  "queues.title": "Fronty",
});
