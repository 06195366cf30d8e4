import { english } from "$lib/message";

export default english({
  "queues.title": "Queues",
});
