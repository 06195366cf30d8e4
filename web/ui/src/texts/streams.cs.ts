import { czech } from "$lib/message";
import type en from "./streams.en";

export default czech<typeof en>()({
  "streams.title": "Spojení",
});
