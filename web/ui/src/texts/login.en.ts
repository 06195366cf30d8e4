import { english } from "$lib/message";

export default english({
  "login.title": "Log in",
  "login.heading": "Log in to Posthorn",
  "login.key": "API key",
  "login.submit": "Log in",
  "login.or": "or with an API key",
  "login.oidc": "Continue with {name}",
  "login.empty": "Paste an API key.",
  "login.wrong": "This key is not known here. Check that you copied all of it.",
  "login.hint": "The root key was printed at the first start of `posthorn serve`; an administrator makes others. The browser keeps a session that ends, never the key.",
  "login.ended": "Your session has ended. Log in again to go on where you were.",
  "login.error.oidc_denied": "The login was cancelled or refused by the provider.",
  "login.error.oidc_no_role": "You are known, but none of your groups has a role here. Ask your administrator.",
  "login.error.oidc_expired": "The login took too long. Start again.",
  "login.error.too_many_attempts": "Too many logins failed. Wait a few minutes.",
  "login.error.oidc_failed": "The login with the provider failed. Try again, or use an API key.",
});
