import { czech } from "$lib/message";
import type en from "./events.en";

export default czech<typeof en>()({
  "events.title": "Události",
});
