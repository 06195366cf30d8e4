import { czech } from "$lib/message";

export default czech({
  "portal.title": "Portál",
  "portal.ended": "Platnost odkazu skončila",
  "portal.ended.text": "Otevřete stránku znovu odtud, odkud jste přišli; dostanete nový odkaz.",
});
