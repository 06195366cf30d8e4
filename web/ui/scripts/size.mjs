// Fails when what a browser may load is over the limit, gzipped; also says what the first page costs.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMIT = 120_000;
const dist = new URL("../../../internal/ui/dist/", import.meta.url);
const files = readdirSync(dist).filter((name) => /\.(js|css|html|svg)$/.test(name)).sort();
let total = 0;
let first = 0;
for (const name of files) {
  const size = gzipSync(readFileSync(new URL(name, dist)), { level: 9 }).length;
  total += size;
  if (/^(index|app|theme|text-en)\./.test(name)) first += size;
  console.log(`${String(size).padStart(7)}  ${name}`);
}
console.log(`${String(total).padStart(7)}  in all, gzipped (limit ${LIMIT}); ${first} before the first page`);
if (total > LIMIT) {
  console.error(`The UI is ${total - LIMIT} bytes too big.`);
  process.exit(1);
}
