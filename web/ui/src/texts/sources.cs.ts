import { czech } from "$lib/message";
import type en from "./sources.en";

export default czech<typeof en>()({
  "sources.title": "Zdroje",
});
