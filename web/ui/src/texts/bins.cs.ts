import { czech } from "$lib/message";
import type en from "./bins.en";

export default czech<typeof en>()({
  "bins.title": "Schránky",
});
