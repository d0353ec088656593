// What linters of packages say about the tarball.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { publint } from "publint";

import { HERE, node } from "./process.mjs";

const TARBALL = join(HERE, "node_modules/sidekey.tgz");

test("publint has nothing to say", async () => {
  const { buffer, byteOffset, byteLength } = await readFile(TARBALL);
  const { messages } = await publint({ pack: { tarball: buffer.slice(byteOffset, byteOffset + byteLength) }, strict: true });
  assert.deepEqual(messages, []);
});

test("the types are found by every way of resolving that the package is made for", async () => {
  // ES modules only: CommonJS gets them by `require` of an ES module (Node.js 20.19), of which the tool does not
  // know, and Node.js 10 knew no exports. A wasm file has none that could be compared with its declaration.
  const profile = ["--profile", "esm-only", "--exclude-entrypoints", "./core.wasm", "./package.json"];
  const { stdout } = await node([join(HERE, "node_modules/@arethetypeswrong/cli/dist/index.js"), TARBALL, ...profile, "--format", "json"]);
  const { analysis, problems } = JSON.parse(stdout);
  assert.ok(Object.keys(analysis.entrypoints).includes("./slim"), stdout);
  const ignored = ["node10", "node16-cjs"];
  const left = Object.values(problems).flat().filter(({ resolutionKind }) => !ignored.includes(resolutionKind));
  assert.deepEqual(left, []);
});
