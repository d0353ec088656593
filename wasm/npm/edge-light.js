// @ts-check
/** The package for edge functions of Next.js and Vercel, which want to be told that a module is imported and not an address. */

import { createApi } from "./api.js";
import core from "./generated/core.wasm?module";

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
