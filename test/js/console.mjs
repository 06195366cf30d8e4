// Types what is on standard input into the console of a page, and prints what the console shows, until it is stopped.
// Arguments: the page.
import { text } from "node:stream/consumers";

import { launch } from "./chromium.mjs";

const browser = await launch();
process.on("SIGINT", () => browser.close().then(() => process.exit()));
const page = await browser.newPage();
page.on("console", (m) => console.log(m.text()));
page.on("pageerror", (e) => console.log(e.message));
await page.goto(process.argv[2]);
await page.evaluate(`(async () => { ${await text(process.stdin)} })()`); // not bound by the page's policy, as a console is not
await new Promise((done) => browser.on("disconnected", done));
