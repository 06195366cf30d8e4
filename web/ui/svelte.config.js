import { vitePreprocess } from "@sveltejs/vite-plugin-svelte";

export default {
  preprocess: vitePreprocess({ script: true }),
  compilerOptions: {
    runes: true,
    // The name of a scope comes from its rules alone, so that a build in another folder gives the same bytes.
    cssHash: ({ hash, css }) => `s${hash(css).slice(0, 5)}`,
  },
};
