// Light, dark, or as the system has it. public/theme.js sets it before the first paint.
export type Theme = "system" | "light" | "dark";
const KEY = "posthorn.theme";

function kept(): Theme {
  const now = document.documentElement.dataset.theme;
  return now === "light" || now === "dark" ? now : "system";
}

let chosen = $state<Theme>(kept());
const system = matchMedia("(prefers-color-scheme: dark)");
let systemDark = $state(system.matches);
system.addEventListener("change", (e) => (systemDark = e.matches));

export const theme = {
  get chosen(): Theme {
    return chosen;
  },
  get dark(): boolean {
    return chosen === "system" ? systemDark : chosen === "dark";
  },
  choose(to: Theme): void {
    chosen = to;
    if (to === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = to;
    try {
      if (to === "system") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, to);
    } catch {
      // It holds until the page is closed.
    }
  },
};

const phone = matchMedia("(max-width: 760px)");
let narrow = $state(phone.matches);
phone.addEventListener("change", (e) => (narrow = e.matches));

/** Whether the page is as narrow as a phone. */
export const screen = {
  get phone(): boolean {
    return narrow;
  },
};
