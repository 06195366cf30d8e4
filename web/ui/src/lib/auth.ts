// Who asks: nothing here for a session (its cookie is HttpOnly), a bearer token in the portal.
const KEY = "posthorn.portal";

interface Held {
  tenant: string;
  token: string;
}

let held: Held | undefined;
let unauthorized: (url: string) => void = () => {};

function stored(): Held | undefined {
  try {
    const text = sessionStorage.getItem(KEY);
    return text ? (JSON.parse(text) as Held) : undefined;
  } catch {
    return undefined; // an iframe may be kept from storage
  }
}

export const auth = {
  get token(): string | undefined {
    return held?.token;
  },
  /** Takes a portal's token from the address's fragment, or the one kept for this tab, and wipes the fragment. */
  enterPortal(tenant: string): boolean {
    const fragment = new URLSearchParams(location.hash.slice(1));
    const token = fragment.get("token");
    if (token) {
      held = { tenant, token };
      try {
        sessionStorage.setItem(KEY, JSON.stringify(held));
      } catch {
        // Kept in memory only: a reload asks for the link again.
      }
      history.replaceState(history.state, "", location.pathname + location.search);
      return true;
    }
    const kept = held ?? stored();
    if (kept?.tenant !== tenant) return false;
    held = kept;
    return true;
  },
  leavePortal(): void {
    held = undefined;
    try {
      sessionStorage.removeItem(KEY);
    } catch {
      // Nothing was kept.
    }
  },
};

/** Sets what happens at a 401: the app goes to its login page. */
export function setUnauthorized(handler: (url: string) => void): void {
  unauthorized = handler;
}

export function onUnauthorized(url: string): void {
  unauthorized(url);
}
