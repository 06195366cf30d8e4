// What is open over the page.
class Open {
  open = $state(false);
}
export const palette = new Open();
export const shortcuts = new Open();
