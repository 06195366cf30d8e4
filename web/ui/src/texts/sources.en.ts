import { english } from "$lib/message";

export default english({
  "sources.title": "Sources",
});
