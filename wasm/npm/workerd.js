// @ts-check
/** The package for Cloudflare Workers, which compile WebAssembly when a worker is deployed and never while it runs. */

import { createApi } from "./api.js";
import core from "./generated/core.wasm";

export { OtpError } from "./error.js";

export const {
  buildUri,
  compat,
  formatSecret,
  generateSecret,
  normalizeBackupCode,
  normalizeCode,
  parseMigration,
  parseUri,
  preview,
  qrElement,
  qrMatrix,
  qrPng,
  qrSvg,
  ready,
  watchCode,
} = /* @__PURE__ */ createApi(() => core);
