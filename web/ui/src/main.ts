import { mount } from "svelte";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import { auth } from "$lib/auth";
import { known, preferred, setLanguage } from "$lib/i18n.svelte";
import { router, start } from "$lib/router.svelte";
import { routes } from "./pages/index";
import App from "./App.svelte";

start(routes);
if (router.portal !== undefined) auth.enterPortal(router.portal);
// No await at the top: the language's chunk imports this one, and would wait for it.
void setLanguage(known(auth.language) ?? preferred(), false).finally(() => {
  const target = document.getElementById("app");
  if (target) mount(App, { target });
});
