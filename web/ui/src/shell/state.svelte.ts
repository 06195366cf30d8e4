// What is open over the page.
class Open {
  open = $state(false);
  /** What was typed before it could be shown. */
  typed = "";
}
export const palette = new Open();
export const shortcuts = new Open();
/** Asks for the tenant switcher to be opened. */
export const switcher = new Open();
