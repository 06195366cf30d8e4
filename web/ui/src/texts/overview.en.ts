import { english } from "$lib/message";

export default english({
  "overview.title": "Overview",
});
