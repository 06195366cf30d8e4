import { english } from "$lib/message";

export default english({
  "events.title": "Events",
});
