import { czech } from "$lib/message";

export default czech({
  "overview.title": "Přehled",
});
