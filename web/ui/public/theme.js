// Runs before the first paint: a theme chosen by hand wins over the system's.
try {
  var theme = localStorage.getItem("posthorn.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch (e) {
  /* no storage in this frame: the system's theme it is */
}
