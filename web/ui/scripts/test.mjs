// Bundles the tests of the pure libraries for Node and runs them with Node's own runner.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const lib = fileURLToPath(new URL("../src/", import.meta.url));
const tests = readdirSync(lib, { recursive: true }).filter((name) => name.endsWith(".test.ts"));
const flat = (name) => name.replace(/\.ts$/, "").replaceAll(/[\\/]/g, "-");
const out = mkdtempSync(join(tmpdir(), "posthorn-ui-"));
try {
  await build({
    configFile: false,
    logLevel: "warn",
    root: lib,
    resolve: { alias: [{ find: /^\$lib\//, replacement: join(lib, "lib/") }] },
    build: {
      ssr: true,
      outDir: out,
      emptyOutDir: true,
      rolldownOptions: { input: Object.fromEntries(tests.map((name) => [flat(name), join(lib, name)])), output: { entryFileNames: "[name].mjs" } },
    },
  });
  const run = spawnSync(process.execPath, ["--test", ...tests.map((name) => join(out, `${flat(name)}.mjs`))], { stdio: "inherit" });
  process.exitCode = run.status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
