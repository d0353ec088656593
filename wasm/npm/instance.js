// @ts-check
/** The one instance of the core, however many entries of this package are loaded. */

import { tag } from "./arguments.js";
import { OtpError } from "./error.js";
import { initSync } from "./generated/glue.js";

/** @typedef {import("./index.js").CoreSource} CoreSource */

let instantiated = false;

/**
 * Makes the core callable, now.
 * @param {(() => WebAssembly.Module | BufferSource) | undefined} load
 */
export function ensure(load) {
  if (instantiated) return;
  if (!load) throw new OtpError("NOT_READY", "`ready(source)` has to have resolved before anything else is called");
  guarded(() => instantiate(load()));
}

/** Makes the core callable without compiling on this thread. @param {CoreSource | Promise<CoreSource>} source */
export async function prepare(source) {
  if (instantiated) return;
  try {
    const module = await compile(await source);
    if (!instantiated) instantiate(module);
  } catch (cause) {
    throw explained(cause);
  }
}

/** @param {WebAssembly.Module | BufferSource} source */
function instantiate(source) {
  // A module may come from another realm, where `instanceof` does not know it.
  const module = isModule(source) ? source : new WebAssembly.Module(source);
  initSync({ module });
  instantiated = true;
}

/** @param {CoreSource} source @returns {Promise<WebAssembly.Module>} */
async function compile(source) {
  if (isModule(source)) return source;
  if (tag(source) !== "Response") return WebAssembly.compile(/** @type {BufferSource} */ (source));
  const response = /** @type {Response} */ (source);
  if (!response.ok) throw new OtpError("WASM_UNAVAILABLE", `the core could not be fetched: HTTP status ${response.status}`);
  // Streams only compile under their own media type, which not every server knows.
  const streams = response.headers.get("content-type")?.startsWith("application/wasm");
  return streams ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer());
}

/** @param {unknown} value @returns {value is WebAssembly.Module} */
const isModule = (value) => tag(value) === "WebAssembly.Module";

/** @param {() => void} run */
function guarded(run) {
  try {
    run();
  } catch (cause) {
    throw explained(cause);
  }
}

/**
 * Why the core cannot run. Engines have no common error for a content security policy: Chromium and Firefox throw a
 * CompileError, Safari an EvalError, and only the message tells.
 * @param {unknown} cause
 */
function explained(cause) {
  if (cause instanceof OtpError) return cause;
  const message = String(/** @type {{ message?: unknown } | null} */ (cause)?.message);
  if (/content security policy|\bCSP\b|unsafe-eval|wasm-eval|disallowed by embedder/i.test(message)) {
    return new OtpError(
      "WASM_BLOCKED_BY_CSP",
      "the content security policy forbids WebAssembly: add 'wasm-unsafe-eval' to its script-src",
      { cause },
    );
  }
  return new OtpError("WASM_UNAVAILABLE", "WebAssembly is not available here, or the core did not arrive whole", { cause });
}
