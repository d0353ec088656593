// What an application gets of the package: bundled and minified by esbuild, gzip as a server compresses it.
//
// node sizes.mjs <folder of the package>

import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

/** Bytes of `sidekey`, bundled whole, minified and compressed. */
export const BUDGET = 40 * 1024;

/** @param {string} folder @param {string} entry */
export async function bundled(folder, entry) {
  const { outputFiles } = await build({
    stdin: { contents: `export * from ${JSON.stringify(`./${entry}`)}`, resolveDir: resolve(folder) },
    bundle: true,
    minify: true,
    format: "esm",
    write: false,
  });
  return outputFiles[0].contents;
}

/** @param {Uint8Array} bytes */
export const compressed = (bytes) => gzipSync(bytes, { level: 9 }).length;

if (process.argv[1] === import.meta.filename) {
  const folder = process.argv[2];
  const sizes = {
    sidekey: await bundled(folder, "index.js"),
    "sidekey/slim": await bundled(folder, "slim.js"),
    "sidekey/core.wasm": await readFile(join(folder, "generated/core.wasm")),
  };
  console.table(Object.fromEntries(Object.entries(sizes).map(([name, bytes]) => [name, { bytes: bytes.length, gzip: compressed(bytes) }])));
  const size = compressed(sizes.sidekey);
  if (size > BUDGET) {
    console.error(`\`sidekey\` takes ${size} bytes compressed, ${size - BUDGET} more than its budget of ${BUDGET}`);
    process.exitCode = 1;
  }
}
