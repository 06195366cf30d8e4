import { english } from "$lib/message";

export default english({
  "bins.title": "Bins",
});
