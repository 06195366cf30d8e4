import { czech } from "$lib/message";

export default czech({
  "streams.title": "Spojení",
});
