import { czech } from "$lib/message";
import type en from "./endpoints.en";

export default czech<typeof en>()({
  "endpoints.title": "Koncové body",
});
