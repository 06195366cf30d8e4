import { english } from "$lib/message";

export default english({
  "streams.title": "Streams",
});
