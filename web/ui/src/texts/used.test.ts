// Every text of the catalogues is used: by its key, or by a key made in the code that begins or ends like it.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import texts from "./en";

test("no text is left that nothing shows", () => {
  const src = join(process.cwd(), "src");
  const files = readdirSync(src, { recursive: true }).map(String).filter((name) => /\.(svelte|ts)$/.test(name) && !/^(texts|api)[\\/]|\.test\.ts$/.test(name));
  assert.ok(files.length > 100, "the source is not where it is looked for");
  const code = files.map((name) => readFileSync(join(src, name), "utf8")).join("\n");
  const said = new Set([...code.matchAll(/["'`]([a-z]\w*(?:\.[\w-]+)+)["'`]/g)].map((match) => match[1]));
  const made = [...code.matchAll(/["'`]([a-z]\w*\.(?:[\w-]+\.)*[\w-]*)(?:\$\{|["'] ?\+)/g)].map((match) => match[1] ?? "");
  const left = Object.keys(texts).filter((key) => !said.has(key) && !made.some((head) => key.startsWith(head)));
  assert.deepEqual(left, []);
});
