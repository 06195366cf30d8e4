// The client's code and its declarations agree, and a user's code is typed as meant.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

test("types", () => {
  const here = (path) => fileURLToPath(new URL(path, import.meta.url));
  try {
    execFileSync(process.execPath, [here("node_modules/typescript/bin/tsc"), "-p", here("types")], { encoding: "utf8" });
  } catch (error) {
    assert.fail(error.stdout || error.message);
  }
});
