// Runtimes that forbid compiling WebAssembly from bytes: there the module is imported.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { build } from "esbuild";
// @ts-expect-error: it has no types of its own
import workerd from "workerd";

import { HERE, start } from "./process.mjs";
import { answers, questions } from "./questions.mjs";
import { inFolder } from "./site.mjs";

/** The program itself: the script of that name would start it and leave it running when it is ended. @type {string} */
const WORKERD = workerd.default;

/** @param {string} outdir @param {string} condition */
async function bundle(outdir, condition) {
  const { metafile, warnings } = await build({
    entryPoints: [join(HERE, "fixtures/workerd/worker.js")],
    outdir,
    bundle: true,
    format: "esm",
    conditions: [condition],
    loader: { ".wasm": "copy" },
    assetNames: "[name]",
    external: ["*.wasm?module"],
    metafile: true,
    logLevel: "silent",
  });
  assert.deepEqual(warnings, []);
  const output = Object.values(metafile.outputs).find(({ entryPoint }) => entryPoint);
  assert.ok(output && output.bytes < 60_000, "the bytes of the module are inside as well");
  return output.imports.map(({ path }) => path);
}

test("workerd gets the module imported, and runs it", () =>
  inFolder(async (folder) => {
    const imports = await bundle(folder, "workerd");
    assert.equal(imports.length, 1, imports.join());
    assert.match(imports[0] ?? "", /core\.wasm$/);
    const configuration = `using Workerd = import "/workerd/workerd.capnp";
      const config :Workerd.Config = (
        services = [(name = "main", worker = (
          modules = [(name = "worker.js", esModule = embed "worker.js"), (name = "core.wasm", wasm = embed "core.wasm")],
          compatibilityDate = "2026-01-01",
        ))],
        sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
      );`;
    await writeFile(join(folder, "worker.capnp"), configuration);
    const server = await start(WORKERD, ["serve", "--control-fd=1", join(folder, "worker.capnp")], /"socket":"http","port":(\d+)/);
    try {
      const response = await fetch(server.origin, { method: "POST", body: JSON.stringify(questions) });
      assert.equal(response.status, 200, server.output.stderr);
      assert.deepEqual(await response.json(), answers);
    } finally {
      await server.stop();
    }
  }));

test("Next.js' edge gets the module imported in its own way", () =>
  inFolder(async (folder) => {
    const imports = await bundle(folder, "edge-light");
    assert.equal(imports.length, 1, imports.join());
    assert.match(imports[0] ?? "", /core\.wasm\?module$/);
  }));
