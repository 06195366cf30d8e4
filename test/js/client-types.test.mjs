// The client's code and its declarations agree, and what its users write is typed as meant: in types/use.ts and in the guide.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

function compile(project) {
  try {
    execFileSync(process.execPath, [here("node_modules/typescript/bin/tsc"), "-p", project], { encoding: "utf8" });
  } catch (error) {
    assert.fail(error.stdout || error.message);
  }
}

test("types", () => compile(here("types")));

test("the guide's examples", () => {
  const folder = here("out/guide");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  // What the examples take from elsewhere.
  const given = "declare const posthorn: Posthorn, subscription: import(\"posthorn-client\").Subscription, process: any;\n" +
    "declare const save: (data: unknown) => Promise<void>, myToken: () => string;\n";
  let n = 0;
  for (const page of ["../../docs/guides/javascript.md", "../../web/client/README.md"]) {
    for (const [, code] of readFileSync(here(page), "utf8").matchAll(/```js\n(.*?)```/gs)) {
      let text = code.replace(/"https:[^"]*posthorn.js"/, '"posthorn-client"');
      if (!text.includes("import { Posthorn }")) text = `import { Posthorn } from "posthorn-client";\n${text}`;
      const made = [...text.matchAll(/^const (posthorn|subscription)\b/gm)].map((m) => m[1]);
      const globals = made.includes("posthorn") ? given.replace("posthorn: Posthorn, ", "") : given;
      writeFileSync(`${folder}/${++n}.ts`, (made.includes("subscription") ? globals.replace(/subscription: [^,]*, /, "") : globals) + text);
    }
  }
  assert.ok(n >= 8, `${n} examples were found`);
  const { compilerOptions } = JSON.parse(readFileSync(here("types/tsconfig.json"), "utf8"));
  const options = {
    ...compilerOptions, noUnusedLocals: false, moduleResolution: "bundler", module: "ESNext", moduleDetection: "force", checkJs: false,
    paths: { "posthorn-client": [here("../../web/client/posthorn.d.ts")], ws: [here("types/ws.d.ts")] },
  };
  writeFileSync(`${folder}/tsconfig.json`, JSON.stringify({ compilerOptions: options, include: ["*.ts"] }));
  compile(folder);
});
