// @ts-check
/** The package without the core's bytes: `ready(source)` brings them, before any other call. */

import { createApi } from "./api.js";

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
} = /* @__PURE__ */ createApi();
