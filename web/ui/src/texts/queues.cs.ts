import { czech } from "$lib/message";
import type en from "./queues.en";

export default czech<typeof en>()({
  "queues.title": "Fronty",
});
