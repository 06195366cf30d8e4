// Starts Debian's Chromium and listens for what goes wrong in a page.
import { chromium } from "playwright-core";

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    timeout: 180_000, // the machine may be busy
    args: process.getuid?.() === 0 ? ["--no-sandbox"] : [], // root may not use the sandbox
  });
}

/** Collects a page's errors: on the console, thrown, and what its Content-Security-Policy refused. */
export function watch(page) {
  const faults = { list: [], paused: false, pause: () => (faults.paused = true), resume: () => (faults.paused = false) };
  page.setDefaultTimeout(90_000); // the machine may be busy
  const note = (text) => faults.paused || faults.list.push(text);
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && note(`${m.type()}: ${m.text().slice(0, 300)}`));
  page.on("pageerror", (e) => note(`thrown: ${e.message}`));
  page.on("response", (r) => r.status() >= 400 && note(`${r.status()} ${r.url().split("?")[0]}`));
  return faults;
}

/** Waits until a function of the page gives something; the page's own waiting would need eval, which its policy forbids. */
export async function until(page, what, argument, limit = 90_000) {
  const end = Date.now() + limit;
  for (;;) {
    const value = await page.evaluate(what, argument);
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited in vain for ${what} of ${JSON.stringify(argument)}`);
    await page.waitForTimeout(50);
  }
}
