// The package as an application gets it: unpacked from the tarball that `cargo xtask package` has written.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const { version } = JSON.parse(readFileSync(new URL("../../wasm/npm/package.json", import.meta.url), "utf8"));
const tarball = process.env.SIDEKEY_PACKAGE ?? new URL(`../../target/package/sidekey-${version}.tgz`, import.meta.url).pathname;

/** A folder of an application with the package among its modules; it goes when the tests end. */
export const application = mkdtempSync(join(tmpdir(), "sidekey-package-"));
process.on("exit", () => rmSync(application, { recursive: true, force: true }));
/** Where the package lies. */
export const folder = join(application, "node_modules", "sidekey");
mkdirSync(folder, { recursive: true });
try {
  execFileSync("tar", ["-xzf", tarball, "-C", folder, "--strip-components=1"], { stdio: "pipe" });
} catch (cause) {
  throw new Error(`${tarball} cannot be unpacked: run \`cargo xtask package\` first`, { cause });
}

/** @type {typeof import("../../wasm/npm/index.js")} */
export const sidekey = await import(pathToFileURL(join(folder, "index.js")).href);

/**
 * A file of `tests/vectors/`, which core's own tests read too.
 *
 * @param {string} name
 */
export function vectors(name) {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), "utf8"));
}

/**
 * An argument for `assert.throws`: an `OtpError` with this `code` and a message in the project's style.
 *
 * @param {import("../../wasm/npm/index.js").OtpErrorCode} code
 * @param {string} [field]
 * @returns {(error: unknown) => boolean}
 */
export function failure(code, field) {
  return (error) =>
    error instanceof sidekey.OtpError &&
    error.code === code &&
    (field === undefined || error.field === field) &&
    /^[a-z`].*[^.]$/.test(error.message);
}
