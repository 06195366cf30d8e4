import { czech } from "$lib/message";

export default czech({
  "types.title": "Typy událostí",
});
