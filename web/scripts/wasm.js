// @ts-check
/**
 * The project's core in the browser. Where it cannot run (some hardened browsers forbid WebAssembly) the pages still
 * work: the QR code comes as a picture from the server, and codes are sent as they were typed.
 */

/**
 * @typedef {object} Core the bindings that `cargo xtask wasm` writes
 * @property {(source: { module_or_path: URL }) => Promise<unknown>} default loads the module
 * @property {(text: string) => { size: number, modules: Uint8Array }} qrMatrix row by row, 1 is dark, without quiet zone
 * @property {(secret: string) => string} formatSecret groups of four, separated by blanks
 * @property {(text: string) => string} normalizeCode
 * @property {(text: string) => string} normalizeBackupCode
 * @property {(uri: string) => { digits: number, period: number }} parseUri
 */

/** @type {Core | null} */
let core = null;

/** @param {string} file */
const generated = (file) => new URL(`../generated/${file}`, import.meta.url);

/** Loads the module once; answers null where that is impossible. @returns {Promise<Core | null>} */
export async function loadCore() {
  if (core) return core;
  try {
    /** @type {Core} */
    const bindings = await import(generated("sidekey_wasm.js").href);
    await bindings.default({ module_or_path: generated("sidekey_wasm_bg.wasm") });
    core = bindings;
  } catch {
    core = null;
  }
  return core;
}

/**
 * @param {"totp" | "backup"} kind
 * @param {string} typed
 */
export function normalise(kind, typed) {
  try {
    if (core) return kind === "totp" ? core.normalizeCode(typed) : core.normalizeBackupCode(typed);
  } catch {
    // Not a code at all: the server says so, in the one place that judges.
  }
  return typed.trim();
}
