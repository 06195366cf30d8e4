import { fileURLToPath } from "node:url";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

const src = (path: string) => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

/** What a lazily loaded chunk is called: an area's pages, an area's texts in a language, the charts. The rest is "app". */
function name(chunk: { facadeModuleId?: string | null; name: string }): string {
  const id = chunk.facadeModuleId ?? "";
  const area = /\/src\/pages\/([^/]+)\/(?:([^/]+)\/)?pages\.ts$/.exec(id);
  if (area) return `page-${area.slice(1).filter(Boolean).join("-")}.js`;
  const language = /\/src\/texts\/([\w.-]+)\.ts$/.exec(id);
  if (language) return `text-${language[1]}.js`;
  return id.includes("/uplot/") ? "plot.js" : `${chunk.name}.js`;
}

/** Components that no page needs from the start: each set is a chunk that comes with the pages that use it. */
const parts = {
  chart: /\/components\/Chart\.svelte/,
  json: /\/components\/JsonTree\.svelte/,
  inputs: /\/components\/(CheckField|DurationField|NumberField|RadioCards)\.svelte/,
  range: /\/components\/TimeRange\.svelte/,
  forms: /\/components\/(Combo|Fold|JsonField|Pairs|Unsaved)\.svelte|\/lib\/jsonfault\.ts/,
  finder: /\/shell\/(finder\.ts|(Palette|Shortcuts)\.svelte)/,
  verify: /\/endpoints\/shared\/(Verify\.svelte|snippets\.ts)/,
  portal: /\/shell\/PortalFrame\.svelte|\/lib\/colour\.ts/,
};
const lazy = new RegExp([/\/src\/pages\/[^/]+\/(?!routes\.ts)|\/src\/texts\/|\/node_modules\/uplot\//, ...Object.values(parts)].map((part) => part.source).join("|"));

// PH_API is where /v1 is while developing: a Posthorn of your own.
const server = process.env.PH_API ?? "http://127.0.0.1:8080";

export default defineConfig({
  base: "/ui/",
  plugins: [svelte()],
  resolve: {
    alias: [
      { find: /^\$lib\//, replacement: src("lib/") },
      { find: /^\$components$/, replacement: src("components/index.ts") },
      { find: /^\$components\//, replacement: src("components/") },
      { find: /^\$api$/, replacement: src("api/schema.d.ts") },
    ],
  },
  server: {
    host: "127.0.0.1",
    proxy: Object.fromEntries(
      ["/v1", "/b/", "/in/", "/openapi.json", "/docs", "/ui/login/oidc"].map((path) => [path, { target: server, changeOrigin: false }]),
    ),
  },
  build: {
    outDir: "../../internal/ui/dist",
    emptyOutDir: true,
    target: "es2022",
    cssTarget: ["chrome123", "firefox120", "safari17.5"], // the first with light-dark()
    sourcemap: false,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // the page's policy has no data: addresses
    reportCompressedSize: false,
    minify: "oxc",
    rolldownOptions: {
      treeshake: { moduleSideEffects: (id: string) => !id.endsWith("/src/components/index.ts") }, // else the list of components would fetch them all
      output: {
        entryFileNames: "[name].js",
        chunkFileNames: name,
        assetFileNames: (asset) => {
          const area = /src\/pages\/([^/]+)\/(?:(activity|form|one|replay|secret|shared)\/)?/.exec(asset.originalFileNames[0] ?? "");
          return area ? `page-${area.slice(1).filter(Boolean).join("-")}[extname]` : "[name][extname]";
        },
        codeSplitting: { includeDependenciesRecursively: false, groups: [
          { name: "app", test: (id: string) => !lazy.test(id) },
          ...Object.entries(parts).map(([part, test]) => ({ name: `part-${part}`, test })),
          { name: "page-endpoints-shared", test: /\/src\/pages\/endpoints\/shared\// },
        ] },
      },
    },
  },
});
