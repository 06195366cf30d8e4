// Fails when a page would load more than 120 kB, gzipped: the app, its styles, the bigger language of the texts that are always there and of the area, the area's own chunk, and the charts if it has any.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const PAGE_LIMIT = 120_000;
const dist = new URL("../../../internal/ui/dist/", import.meta.url);
const read = (name) => readFileSync(new URL(name, dist));
const files = readdirSync(dist).filter((name) => /\.(js|css|html|svg)$/.test(name)).sort();
const size = Object.fromEntries(files.map((name) => [name, gzipSync(read(name), { level: 9 }).length]));
const sum = (names) => names.reduce((n, name) => n + (size[name] ?? 0), 0);

const texts = (area) => Math.max(0, ...files.filter((name) => name.startsWith(`text-${area}.`)).map((name) => size[name]));
const lazy = files.filter((name) => /^(page-|text-|plot\.)/.test(name));
const first = sum(files.filter((name) => !lazy.includes(name))) + texts("core");
let worst = 0;
console.log(`${String(first).padStart(7)}  before any page: ${files.filter((name) => !lazy.includes(name)).join(", ")} and a language`);
for (const page of lazy.filter((name) => /^page-.*\.js$/.test(name))) {
  const own = [page, page.replace(/js$/, "css")];
  const words = texts(/^page-(\w+)/.exec(page)?.[1]);
  if (/\bplot\.js/.test(read(page).toString())) own.push("plot.js");
  const all = first + sum(own) + words;
  worst = Math.max(worst, all);
  console.log(`${String(all).padStart(7)}  ${page} (${sum(own)} of its own)`);
}
if (size["plot.js"]) worst = Math.max(worst, first + size["plot.js"]);
console.log(`${String(sum(files)).padStart(7)}  all files; the most that a page loads is ${worst} of ${PAGE_LIMIT}`);
if (worst > PAGE_LIMIT) {
  console.error(`A page is ${worst - PAGE_LIMIT} bytes too big.`);
  process.exit(1);
}
