// @ts-check
/**
 * The project's core in the browser. Where it cannot run (some hardened browsers forbid WebAssembly) the pages still
 * work: the QR code comes as a picture from the server, and codes are sent as they were typed.
 */

/**
 * The npm package, which `cargo xtask wasm` copies beside the pages.
 * @typedef {typeof import("../generated/sidekey/index.js")} Core
 */

/** @type {Core | null} */
let core = null;

/** Loads the module once; answers null where that is impossible. @returns {Promise<Core | null>} */
export async function loadCore() {
  if (core) return core;
  try {
    const sidekey = await import("../generated/sidekey/index.js");
    await sidekey.ready();
    core = sidekey;
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
