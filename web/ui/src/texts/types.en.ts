import { english } from "$lib/message";

export default english({
  "types.title": "Event types",
});
