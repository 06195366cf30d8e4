import { czech } from "$lib/message";

export default czech({
  "login.title": "Přihlášení",
  "login.heading": "Přihlášení do Posthornu",
  "login.key": "Klíč API",
  "login.submit": "Přihlásit se",
  "login.or": "nebo klíčem API",
  "login.oidc": "Pokračovat přes {name}",
  "login.empty": "Vložte klíč API.",
  "login.wrong": "Tento klíč server nezná. Ověřte, že jste zkopírovali celý klíč.",
  "login.hint": "Kořenový klíč vypsal první start `posthorn serve`; další vytváří správce. V prohlížeči zůstane jen relace, která vyprší, klíč nikdy.",
  "login.ended": "Vaše relace skončila. Přihlaste se znovu a pokračujte, kde jste přestali.",
  "login.error.oidc_denied": "Přihlášení bylo zrušeno nebo je poskytovatel odmítl.",
  "login.error.oidc_no_role": "Znají vás, ale žádná z vašich skupin zde nemá roli. Obraťte se na správce.",
  "login.error.oidc_expired": "Přihlášení trvalo příliš dlouho. Začněte znovu.",
  "login.error.too_many_attempts": "Příliš mnoho přihlášení selhalo. Počkejte několik minut.",
  "login.error.oidc_failed": "Přihlášení přes poskytovatele selhalo. Zkuste to znovu, nebo použijte klíč API.",
});
