import { czech } from "$lib/message";
import type en from "./types.en";

export default czech<typeof en>()({
  "types.title": "Typy událostí",
});
