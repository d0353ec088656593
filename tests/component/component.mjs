// The component as a host embeds it: transpiled by jco, instantiated with what it imports.

import { readFile } from "node:fs/promises";

import { transpile } from "@bytecodealliance/jco";

const path = process.env.SIDEKEY_COMPONENT ?? new URL("../../target/package/sidekey.component.wasm", import.meta.url);

/** The file that `cargo xtask test --only component` builds. */
async function bytes() {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new Error(`${path} is missing: run \`cargo xtask test --only component\``, { cause });
  }
}

const transpiled = await transpile(await bytes(), { name: "sidekey", instantiation: "async", noTypescript: true });

/** The names of all that the component imports. */
export const { imports } = transpiled;

/**
 * A new instance, whose random 64-bit numbers come from `random`. Whatever else it imports fails as soon as it is used:
 * neither its start nor any call may need a stream, the environment or a way to exit.
 *
 * The exports are typed by WIT and not by TypeScript.
 *
 * @param {() => bigint} random
 * @returns {Promise<any>}
 */
export async function instantiate(random) {
  const glue = Buffer.from(transpiled.files["sidekey.js"]).toString("base64");
  const { instantiate: start } = await import(`data:text/javascript;base64,${glue}`);
  const granted = Object.fromEntries(imports.map((name) => [name, refused(name)]));
  granted["wasi:random/random"] = { getRandomU64: random };
  return start((/** @type {string} */ file) => WebAssembly.compile(new Uint8Array(transpiled.files[file])), granted);
}

/** @param {string} name */
function refused(name) {
  const refuse = class {
    constructor() {
      throw new Error(`the component used ${name}`);
    }
  };
  // Classes are the resources of an interface, everything else its functions.
  return new Proxy({}, { get: (_, member) => (/^[A-Z]/.test(String(member)) ? refuse : () => new refuse()) });
}

/** The component with random numbers of this machine. */
export const component = await instantiate(() => crypto.getRandomValues(new BigUint64Array(1))[0]);

/**
 * A file of `tests/vectors/`, which core's own tests and those of the browser module read too.
 *
 * @param {string} name
 */
export async function vectors(name) {
  return JSON.parse(await readFile(new URL(`../vectors/${name}.json`, import.meta.url), "utf8"));
}

/**
 * An argument for `assert.throws`: the error of a WIT `result`, which jco throws with this `payload`. A variant is an
 * object with `tag` and, if the case has one, `val`.
 *
 * @param {unknown} payload
 * @returns {(error: unknown) => boolean}
 */
export function failure(payload) {
  return (error) =>
    error instanceof Error && "payload" in error && JSON.stringify(error.payload) === JSON.stringify(payload);
}

/**
 * Algorithm, digits and period of a vector.
 *
 * @param {{ algorithm?: string, digits?: number, period?: number }} vector
 */
export const params = ({ algorithm, digits, period }) => ({ algorithm: algorithm?.toLowerCase(), digits, period });

/** What the vectors call an error of a key URI or of its parts, as the world has it. */
export const KEY_URI_ERRORS = {
  ACCOUNT_INVALID: { tag: "account" },
  ALGORITHM_UNKNOWN: { tag: "algorithm" },
  DIGITS_OUT_OF_RANGE: { tag: "digits" },
  HOTP_UNSUPPORTED: { tag: "hotp" },
  ISSUER_INVALID: { tag: "issuer" },
  ISSUER_MISMATCH: { tag: "issuer-mismatch" },
  PERIOD_OUT_OF_RANGE: { tag: "period" },
  SECRET_MISSING: { tag: "no-secret" },
  SECRET_NOT_BASE32: { tag: "secret", val: "not-base32" },
  SECRET_TOO_LONG: { tag: "secret", val: "too-long" },
  SECRET_TOO_SHORT: { tag: "secret", val: "too-short" },
  URI_DUPLICATE_PARAMETER: { tag: "duplicate" },
  URI_ENCODING: { tag: "encoding" },
  URI_PARAMETER: { tag: "parameter" },
  URI_SCHEME: { tag: "scheme" },
  URI_TOO_LONG: { tag: "too-long" },
  URI_TYPE: { tag: "kind" },
};

/**
 * The case for the name that a vector gives.
 *
 * @param {Record<string, unknown>} cases
 * @param {string} name
 */
export function named(cases, name) {
  if (!(name in cases)) throw new Error(`the world has no case for ${name}`);
  return cases[name];
}
