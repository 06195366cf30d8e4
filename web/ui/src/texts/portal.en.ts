import { english } from "$lib/message";

export default english({
  "portal.title": "Portal",
  "portal.ended": "This link has expired",
  "portal.ended.text": "Open the page again from where you came, to get a new link.",
});
