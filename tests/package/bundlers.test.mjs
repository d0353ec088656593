// esbuild, webpack and Rollup, each without any option for WebAssembly.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { nodeResolve } from "@rollup/plugin-node-resolve";
import { build } from "esbuild";
import { rollup } from "rollup";
import webpack from "webpack";

import { launch } from "../browser/browser.mjs";
import { HERE, node } from "./process.mjs";
import { answers, questions } from "./questions.mjs";
import { PAGE, TRUSTED_TYPES, ask, inFolder, serve } from "./site.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => void (browser = await launch()));
after(() => browser.close());

const ENTRY = join(HERE, "fixtures/bundle/page.js");

/**
 * Bundles into a folder and asks the page that loads the bundle, under the strict policy.
 *
 * @param {(folder: string) => Promise<void>} bundle writes `bundle.js`
 */
async function inPage(bundle) {
  await inFolder(async (folder) => {
    await writeFile(join(folder, "index.html"), PAGE);
    await bundle(folder);
    const site = await serve({ "/": folder }, TRUSTED_TYPES);
    try {
      assert.deepEqual(await ask(browser, site.origin, questions), { answer: answers, complaints: [] });
    } finally {
      await site.stop();
    }
  });
}

/** @param {import("webpack").Configuration} configuration */
async function runWebpack(configuration) {
  const stats = await new Promise((/** @type {(stats: import("webpack").Stats | undefined) => void} */ resolve, reject) => {
    webpack({ context: HERE, ...configuration }, (error, result) => (error ? reject(error) : resolve(result)));
  });
  const { errors, warnings } = stats?.toJson({ all: false, errors: true, warnings: true }) ?? {};
  assert.deepEqual({ errors, warnings }, { errors: [], warnings: [] });
}

/** Size hints are about whole applications. @type {import("webpack").Configuration} */
const WEBPACK = { entry: ENTRY, performance: false };

for (const mode of /** @type {const} */ (["production", "development"])) {
  test(`webpack, ${mode}`, () =>
    // The default development tool is `eval`, which no strict policy allows.
    inPage((path) => runWebpack({ ...WEBPACK, mode, devtool: false, output: { path, filename: "bundle.js" } })));
}

test("webpack for Node.js", () =>
  inFolder(async (path) => {
    const entry = join(HERE, "fixtures/node/import.mjs");
    const output = { path, filename: "bundle.mjs", module: true, chunkFormat: /** @type {const} */ ("module") };
    await runWebpack({ ...WEBPACK, mode: "production", target: "node20", entry, experiments: { outputModule: true }, output });
    await answersInNode(join(path, "bundle.mjs"));
  }));

for (const minify of [false, true]) {
  for (const format of /** @type {const} */ (["esm", "iife"])) {
    test(`esbuild, ${format}${minify ? ", minified" : ""}`, () =>
      inPage(async (folder) => {
        const { warnings } = await build({ entryPoints: [ENTRY], outfile: join(folder, "bundle.js"), bundle: true, format, minify, logLevel: "silent" });
        assert.deepEqual(warnings, []);
      }));
  }
}

for (const [entry, format, name] of /** @type {const} */ ([["import.mjs", "esm", "bundle.mjs"], ["require.cjs", "cjs", "bundle.cjs"]])) {
  test(`esbuild for Node.js, ${format}`, () =>
    inFolder(async (folder) => {
      const outfile = join(folder, name);
      const entryPoints = [join(HERE, "fixtures/node", entry)];
      const { warnings } = await build({ entryPoints, outfile, bundle: true, format, platform: "node", logLevel: "silent" });
      assert.deepEqual(warnings, []);
      await answersInNode(outfile);
    }));
}

for (const format of /** @type {const} */ (["es", "iife"])) {
  test(`Rollup, ${format}`, () =>
    inPage(async (folder) => {
      const bundle = await rollup({ input: ENTRY, plugins: [nodeResolve({ browser: true })], onwarn: refuse });
      await bundle.write({ file: join(folder, "bundle.js"), format, name: "fixture" });
      await bundle.close();
    }));
}

test("nothing of the package stays in a bundle that uses nothing of it", () =>
  inFolder(async (folder) => {
    const entry = join(HERE, "fixtures/bundle/empty.js");
    const outfile = join(folder, "esbuild.js");
    // esbuild points at the import that it drops.
    await build({ entryPoints: [entry], outfile, bundle: true, minify: true, format: "esm", logLevel: "silent" });
    assert.equal((await readFile(outfile, "utf8")).trim(), "");

    const bundle = await rollup({ input: entry, plugins: [nodeResolve()], onwarn: (warning) => warning.code !== "EMPTY_BUNDLE" && refuse(warning) });
    const { output } = await bundle.generate({ format: "es" });
    assert.equal(output[0].code.trim(), "");

    await runWebpack({ ...WEBPACK, entry, mode: "production", output: { path: folder, filename: "webpack.js" } });
    assert.equal(await readFile(join(folder, "webpack.js"), "utf8"), "");
  }));

/** @param {{ message: string }} warning */
function refuse(warning) {
  throw new Error(warning.message);
}

/** @param {string} program */
async function answersInNode(program) {
  const { stdout, stderr } = await node([program], { input: JSON.stringify(questions) });
  assert.deepEqual({ answer: JSON.parse(stdout), stderr }, { answer: answers, stderr: "" });
}
