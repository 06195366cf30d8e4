import { czech } from "$lib/message";
import type en from "./overview.en";

export default czech<typeof en>()({
  "overview.title": "Přehled",
});
