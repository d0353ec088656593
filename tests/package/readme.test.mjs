// The snippets of the README files compile: every name that they import is there.

import assert from "node:assert/strict";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { svelte } from "@sveltejs/vite-plugin-svelte";
import vue from "@vitejs/plugin-vue";
import { build } from "vite";

import { HERE } from "./process.mjs";
import { inFolder } from "./site.mjs";

const PACKAGE = join(HERE, "node_modules/sidekey");
const LANGUAGES = ["js", "mjs", "ts", "jsx", "tsx", "vue", "svelte", "html"];

/** The code blocks of a Markdown file. @param {string} file */
async function snippets(file) {
  const text = await readFile(join(PACKAGE, file), "utf8");
  return Array.from(text.matchAll(/^```(\w+)[^\n]*\n([^]*?)^```$/gm), ([, language = "", code = ""], at) => ({ name: `${file}, block ${at + 1} (${language})`, language, code }));
}

/** Packages are looked for among the toolchains. @param {string} folder @returns {import("vite").Plugin} */
const fromHere = (folder) => ({
  name: "from-here",
  enforce: "pre",
  resolveId(source, importer) {
    if (importer?.startsWith(folder) && /^[@\w]/.test(source)) return this.resolve(source, join(HERE, "package.json"), { skipSelf: true });
    return undefined;
  },
});

/** What a reader has around a snippet and not in this folder. */
const external = [/^node:/, /^@playwright\//, "playwright", "vitest", "@jest/globals", /^\.\.?\//];

/** @param {{ language: string, code: string }} snippet */
function compile({ language, code }) {
  return inFolder(async (folder) => {
    const name = language === "html" ? "snippet.js" : `snippet.${language}`;
    const scripts = Array.from(code.matchAll(/<script type="module">([^]*?)<\/script>/g), ([, script]) => script);
    await writeFile(join(folder, name), language === "html" ? scripts.join("\n") : code);
    await build({
      root: folder,
      configFile: false,
      logLevel: "silent",
      plugins: [fromHere(folder), vue({ template: { compilerOptions: { isCustomElement: (tag) => tag.startsWith("sidekey-") } } }), svelte({ configFile: false })],
      build: { write: false, minify: false, target: "es2022", lib: { entry: join(folder, name), formats: ["es"] }, rollupOptions: { external, onwarn: refuse } },
    });
  });
}

/** @param {{ code?: string, message: string }} warning */
function refuse(warning) {
  throw new Error(warning.message);
}

const files = (await readdir(PACKAGE, { recursive: true })).filter((name) => name.endsWith("README.md")).sort();
const all = (await Promise.all(files.map(snippets))).flat();

test("there are snippets for React, Vue, Svelte and for none of them", () => {
  const has = (/** @type {string[]} */ languages, /** @type {RegExp} */ pattern) => all.some(({ language, code }) => languages.includes(language) && pattern.test(code));
  assert.ok(has(["jsx", "tsx"], /from "react"/), "React");
  assert.ok(has(["vue"], /<script setup/), "Vue");
  assert.ok(has(["svelte"], /<script/), "Svelte");
  assert.ok(has(["js", "ts", "html"], /from "sidekey"/), "vanilla");
});

/** Markup alone imports nothing. @param {{ language: string, code: string }} snippet */
const imports = ({ language, code }) => LANGUAGES.includes(language) && (language !== "html" || /<script type="module">/.test(code));

for (const snippet of all.filter(imports)) {
  test(snippet.name, () => compile(snippet));
}

test("a name that is not there would be noticed in each language", async () => {
  const wrong = `import { verify } from "sidekey"; console.log(verify);`;
  for (const language of LANGUAGES) {
    const inElement = { vue: `<script setup>${wrong}</script><template><p /></template>`, svelte: `<script>${wrong}</script>`, html: `<script type="module">${wrong}</script>` };
    const code = inElement[/** @type {keyof typeof inElement} */ (language)] ?? wrong;
    await assert.rejects(compile({ language, code }), /verify/, language);
  }
});
