// The browser module as Node loads it: glue and bytes as `cargo xtask wasm` has written them.

import { readFile } from "node:fs/promises";

const folder = new URL("../../web/generated/", import.meta.url);

/** @param {string} name */
async function generated(name) {
  try {
    return await readFile(new URL(name, folder));
  } catch (cause) {
    throw new Error(`web/generated/${name} is missing: run \`cargo xtask wasm\` first`, { cause });
  }
}

// No package.json says that the glue is an ES module; a `data:` URL with this media type does.
const glue = (await generated("sidekey_wasm.js")).toString("base64");
/** @type {typeof import("../../web/generated/sidekey_wasm.js")} */
export const sidekey = await import(`data:text/javascript;base64,${glue}`);
sidekey.initSync({ module: await generated("sidekey_wasm_bg.wasm") });

/**
 * A file of `tests/vectors/`, which core's own tests read too.
 *
 * @param {string} name
 */
export async function vectors(name) {
  return JSON.parse(await readFile(new URL(`../vectors/${name}.json`, import.meta.url), "utf8"));
}

/**
 * An argument for `assert.throws`: an `Error` with this `code` and a message in the project's style.
 *
 * @param {import("../../web/generated/sidekey_wasm.js").SidekeyErrorCode} code
 * @returns {(error: unknown) => boolean}
 */
export function failure(code) {
  return (error) => error instanceof Error && "code" in error && error.code === code && /^[a-z`].*[^.]$/.test(error.message);
}
