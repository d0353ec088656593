// The installed package in Node.js.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { node } from "./process.mjs";
import { answers, questions } from "./questions.mjs";

/** What a fixture prints, having read the questions. @param {string} name */
async function run(name) {
  const { stdout, stderr } = await node([`fixtures/node/${name}`], { input: JSON.stringify(questions) });
  return { answer: JSON.parse(stdout), stderr };
}

test("an ES module imports it", async () => {
  assert.deepEqual(await run("import.mjs"), { answer: answers, stderr: "" });
});

test("`require` loads it, since nothing in it awaits", async () => {
  const { answer, stderr } = await run("require.cjs");
  assert.deepEqual(answer, answers);
  // Node.js 20 calls the loading itself experimental when a program's own file does it.
  assert.doesNotMatch(stderr.replace(/^.*ExperimentalWarning: .*\n.*\n/, ""), /\S/);
});

test("threads have an instance each", async () => {
  assert.deepEqual(await run("thread.mjs"), { answer: [answers, answers], stderr: "" });
});

test("the slim entry works as soon as it has been given the module", async () => {
  const { answer, stderr } = await run("slim.mjs");
  assert.deepEqual(answer.codes, answers.codes);
  assert.match(answer.early, /^[A-Z_]+$/, "an `OtpError` with a code comes before");
  assert.equal(stderr, "");
});

test("every entry can be loaded on a server, where there is no DOM", async () => {
  const manifest = JSON.parse(await readFile(new URL("node_modules/sidekey/package.json", import.meta.url), "utf8"));
  const entries = Object.keys(manifest.exports).filter((entry) => !/\.(wasm|json|css)$/.test(entry));
  assert.ok(entries.includes(".") && entries.includes("./slim"), entries.join());
  for (const entry of entries) {
    const specifier = `sidekey${entry.slice(1)}`;
    const load = `await import(${JSON.stringify(specifier)}); console.log("loaded")`;
    assert.deepEqual(await node(["--input-type=module", "--eval", load]), { stdout: "loaded\n", stderr: "" }, specifier);
  }
});

test("installing it runs no script and brings no other package", async () => {
  const manifest = JSON.parse(await readFile(new URL("node_modules/sidekey/package.json", import.meta.url), "utf8"));
  for (const member of ["dependencies", "optionalDependencies", "bundledDependencies", "bin"]) {
    assert.ok(!(member in manifest), `${member} in package.json`);
  }
  const scripts = Object.keys(manifest.scripts ?? {}).filter((name) => /install|prepare/.test(name));
  assert.deepEqual(scripts, []);
  assert.equal(manifest.sideEffects === false || Array.isArray(manifest.sideEffects), true);
});
