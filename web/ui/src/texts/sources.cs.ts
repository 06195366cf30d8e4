import { czech } from "$lib/message";

export default czech({
  "sources.title": "Zdroje",
});
