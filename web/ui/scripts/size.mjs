// Fails when a page would load more than 120 kB, gzipped: the app and its styles, the bigger language of the texts that are always
// there and of the area, and every chunk that the page's own chunk imports, with their styles, and the charts where one of them
// draws charts. A chunk that a page loads later, for a part of it that is opened, counts on top of the page.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const PAGE_LIMIT = 120_000;
const dist = new URL("../../../internal/ui/dist/", import.meta.url);
const read = (name) => readFileSync(new URL(name, dist));
const files = readdirSync(dist).filter((name) => /\.(js|css|html|svg)$/.test(name)).sort();
const size = Object.fromEntries(files.map((name) => [name, gzipSync(read(name), { level: 9 }).length]));
const sum = (names) => [...names].reduce((n, name) => n + (size[name] ?? 0), 0);
const texts = (area) => files.filter((name) => name.startsWith(`text-${area}.`)).sort((a, b) => size[b] - size[a]).slice(0, 1);

const matches = (name, pattern) => [...read(name).toString().matchAll(pattern)].map((match) => match[1]).filter((file) => file in size);
const needs = (name) => matches(name, /(?:\bfrom|\bimport)\s*["'`]\.\/([\w.-]+\.js)["'`]/g);
const later = (name) => matches(name, /\bimport\(\s*["'`]\.\/([\w.-]+\.js)["'`]/g);

/** All that a chunk brings: what it imports, and what that imports, with the styles of each; a chart brings its library. */
function closure(name, into = new Set()) {
  if (into.has(name)) return into;
  into.add(name);
  const styles = name.replace(/js$/, "css");
  if (styles in size) into.add(styles);
  for (const file of [...needs(name), ...later(name).filter((file) => file === "plot.js")]) closure(file, into);
  return into;
}

const entry = matches("index.html", /src="\/ui\/([\w.-]+\.js)"/g);
const app = new Set(["index.html", "icon.svg", ...entry.flatMap((file) => [...closure(file)]), ...texts("core")]);
console.log(`${String(sum(app)).padStart(7)}  before any page: ${[...app].join(", ")}`);
let worst = 0;
function weigh(all, label) {
  const total = sum(all);
  worst = Math.max(worst, total);
  console.log(`${String(total).padStart(7)}  ${label}: ${[...all].filter((file) => !app.has(file)).join(", ")}`);
}
const pages = later("index.js").filter((file) => /^page-/.test(file));
for (const file of later("index.js").filter((file) => /^part-/.test(file))) weigh(new Set([...app, ...closure(file)]), `${file} without a page`);
for (const page of [...new Set(pages)].sort()) {
  const [, name, area] = /^page-((\w+)[\w-]*)/.exec(page);
  const all = new Set([...app, ...closure(page), ...texts(area), ...texts(name)]);
  weigh(all, page);
  for (const more of new Set([...all].filter((file) => file.endsWith(".js") && !app.has(file)).flatMap(later))) {
    if (!all.has(more)) weigh(new Set([...all, ...closure(more)]), `${page} with ${more}`);
  }
}
console.log(`${String(sum(files)).padStart(7)}  all files; the most that a page loads is ${worst} of ${PAGE_LIMIT}`);
if (pages.length < 10 || entry.length === 0) throw new Error("the pages' chunks are not found any more");
if (worst > PAGE_LIMIT) {
  console.error(`A page is ${worst - PAGE_LIMIT} bytes too big.`);
  process.exit(1);
}
