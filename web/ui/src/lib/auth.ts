// Who asks: nothing here for a session (its cookie is HttpOnly), a bearer token in the portal.
const KEY = "posthorn.portal";

interface Held {
  tenant: string;
  token: string;
  /** The language that the link asks for. */
  language?: string;
}

let held: Held | undefined;
let stateless = false; // a frame of another site may be kept from storage
let unauthorized: (url: string, code: string) => void = () => {};

function stored(): Held | undefined {
  try {
    const text = sessionStorage.getItem(KEY);
    return text ? (JSON.parse(text) as Held) : undefined;
  } catch {
    stateless = true;
    return (history.state as { portal?: Held } | null)?.portal;
  }
}

/** When a token (a JWT) ends by what it says itself, ms since 1970; Infinity if it does not say. */
function expiry(token: string): number {
  try {
    const claims = JSON.parse(atob((token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/"))) as { exp?: number };
    return (claims.exp ?? Infinity) * 1000;
  } catch {
    return Infinity;
  }
}

/** The portal never uses the cookie of a session: its frame may stand in a page of the same site, whose reader is logged in here. */
const inPortal = location.pathname.startsWith("/ui/portal/");

export const auth = {
  get credentials(): RequestCredentials {
    return inPortal ? "omit" : "same-origin";
  },
  /** There is no link yet, or its token is gone: asking the server is of no use. */
  get locked(): boolean {
    return inPortal && held === undefined;
  },
  /** What each entry of the history carries so that a reload finds the token where there is no storage; else nothing. */
  get mark(): { portal?: Held } {
    return stateless && held ? { portal: held } : {};
  },
  get language(): string | undefined {
    return held?.language;
  },
  get token(): string | undefined {
    return held?.token;
  },
  /** Takes a portal's token from the address's fragment, or the one kept for this tab, and wipes the fragment. */
  enterPortal(tenant: string): boolean {
    const fragment = new URLSearchParams(location.hash.slice(1));
    const token = fragment.get("token");
    if (token) {
      const language = fragment.get("language");
      held = language ? { tenant, token, language } : { tenant, token };
      try {
        sessionStorage.setItem(KEY, JSON.stringify(held));
      } catch {
        stateless = true;
      }
      history.replaceState({ ...(history.state as object | null), ...this.mark }, "", location.pathname + location.search);
      return true;
    }
    const kept = held ?? stored();
    if (kept?.tenant !== tenant) return false;
    held = kept;
    return true;
  },
  /** Forgets the token, and tells by its own date whether its time is over. */
  leavePortal(): "expired" | "withdrawn" {
    const expired = held !== undefined && expiry(held.token) <= Date.now();
    held = undefined;
    try {
      sessionStorage.removeItem(KEY);
    } catch {
      if (stateless) history.replaceState(null, "");
    }
    return expired ? "expired" : "withdrawn";
  },
};

/** Sets what happens at a 401: the app goes to its login page. */
export function setUnauthorized(handler: (url: string, code: string) => void): void {
  unauthorized = handler;
}

export function onUnauthorized(url: string, code: string): void {
  unauthorized(url, code);
}
