import { czech } from "$lib/message";

export default czech({
  "bins.title": "Schránky",
});
