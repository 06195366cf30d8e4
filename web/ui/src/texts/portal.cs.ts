import { czech } from "$lib/message";
import type en from "./portal.en";

export default czech<typeof en>()({
  "portal.title": "Portál",
  "portal.ended": "Platnost odkazu skončila",
  "portal.ended.text": "Otevřete stránku znovu odtud, odkud jste přišli; dostanete nový odkaz.",
});
