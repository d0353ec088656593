// @ts-check
/** The package with the core's bytes inlined: nothing is fetched, and the first call instantiates them. */

import { createApi } from "./api.js";
import { bytes, size, unpacker } from "./generated/bytes.js";
import { unpack } from "./unpack.js";

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
} = /* @__PURE__ */ createApi(() => unpack(unpacker, bytes, size));
