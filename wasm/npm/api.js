// @ts-check
/** The functions of this package, over a core that is loaded in one way or another. */

import { number, object, optionalNumber, optionalText, tag, text } from "./arguments.js";
import { OtpError, fromCore, wrongArgument } from "./error.js";
import * as core from "./generated/glue.js";
import { ensure, prepare } from "./instance.js";
import { drawElement } from "./qr-element.js";
import { watch } from "./watch.js";

/** @typedef {import("./index.js").TotpConfig} TotpConfig */

/** More bytes than any secret has: enough for the core to say so. */
const TOO_MANY_BYTES = 129;

/**
 * @param {() => WebAssembly.Module | BufferSource} [load] what the first call instantiates; without it, only `ready(source)`
 * @returns {import("./index.js").Api}
 */
export function createApi(load) {
  /** @template T @param {() => T} run @returns {T} */
  const call = (run) => {
    ensure(load);
    try {
      return run();
    } catch (thrown) {
      throw fromCore(thrown);
    }
  };

  /** @param {unknown} secret */
  const base32 = (secret) => {
    // Not `instanceof`, for bytes from a frame or a test's own realm.
    if (tag(secret) === "Uint8Array") return call(() => core.encodeSecret(/** @type {Uint8Array} */ (secret)));
    return typeof secret === "string" || secret == null ? (secret ?? "") : fail("secret", "a string or a Uint8Array");
  };

  /** The parts of a configuration besides its secret, in the core's order. @param {Partial<TotpConfig>} config */
  const label = ({ issuer, account }) => /** @type {const} */ ([optionalText(issuer, "issuer"), optionalText(account, "account")]);
  /** @param {Partial<TotpConfig>} config */
  const parameters = ({ algorithm, digits, period }) =>
    /** @type {const} */ ([optionalText(algorithm, "algorithm"), optionalNumber(digits, "digits"), optionalNumber(period, "period")]);

  /** @type {import("./index.js").Api["preview"]} */
  const preview = (config, atMs) => {
    const [secret, parts] = [base32(object(config, "config").secret), parameters(config)];
    const now = optionalNumber(atMs, "atMs") ?? Date.now();
    const [value, digits, group, counter, validFrom, validUntil, remainingMs, period] = /** @type {number[]} */ (
      /** @type {unknown} */ (call(() => core.preview(secret, ...parts, now)))
    );
    const code = String(value).padStart(digits ?? 0, "0");
    return { code, display: `${code.slice(0, group)} ${code.slice(group)}`, counter, validFrom, validUntil, remainingMs, period };
  };

  return {
    ready: (source) => prepare(source ?? (load ? promised(load) : Promise.reject(missing()))),

    generateSecret(bytes = 20) {
      if (!Number.isInteger(number(bytes, "bytes")) || bytes < 0) throw wrongArgument("bytes", "a whole number of bytes");
      const random = new Uint8Array(Math.min(bytes, TOO_MANY_BYTES));
      try {
        crypto.getRandomValues(random);
      } catch (cause) {
        throw new OtpError("RANDOMNESS_UNAVAILABLE", "there is no source of randomness", { cause });
      }
      return call(() => core.encodeSecret(random));
    },
    formatSecret: (secret) => {
      const written = base32(secret);
      return call(() => core.formatSecret(written));
    },
    normalizeCode: (typed) => call(() => core.normalizeCode(text(typed, "text"))),
    normalizeBackupCode: (typed) => call(() => core.normalizeBackupCode(text(typed, "text"))),

    buildUri(config, { scheme = "otpauth" } = {}) {
      const secret = base32(object(config, "config").secret);
      const [names, numbers] = [label(config), parameters(config)];
      return call(() => core.buildUri(secret, ...names, ...numbers, text(scheme, "scheme")));
    },
    parseUri: (uri) => JSON.parse(call(() => core.parseUri(text(uri, "uri")))),
    parseMigration: (uri) => JSON.parse(call(() => core.parseMigration(text(uri, "uri")))),
    compat(config, { scheme = "otpauth" } = {}) {
      const [names, numbers] = [label(object(config, "config")), parameters(config)];
      return JSON.parse(call(() => core.compat(...names, ...numbers, text(scheme, "scheme"))));
    },

    preview,
    watchCode: (config, onChange, options) => watch((atMs) => preview(config, atMs), onChange, options),

    qrMatrix(content, { level } = {}) {
      const modules = call(() => core.qrModules(text(content, "text"), optionalText(level, "level")));
      return { size: Math.sqrt(modules.length), modules };
    },
    qrSvg: (content, { level, title } = {}) =>
      call(() => core.qrSvg(text(content, "text"), optionalText(level, "level"), optionalText(title, "title"))),
    qrPng: (content, { level, scale } = {}) =>
      call(() => core.qrPng(text(content, "text"), optionalText(level, "level"), optionalNumber(scale, "scale"))),
    qrElement(content, { level, title } = {}) {
      const drawing = call(() => core.qrDrawing(text(content, "text"), optionalText(level, "level")));
      return drawElement(JSON.parse(drawing), optionalText(title, "title"));
    },
  };
}

/** @param {string} field @param {string} expected @returns {never} */
function fail(field, expected) {
  throw wrongArgument(field, expected);
}

/** @template T @param {() => T} load @returns {Promise<T>} what it throws rejects */
async function promised(load) {
  return load();
}

const missing = () => new OtpError("NOT_READY", "`ready(source)` of `sidekey/slim` needs a source: it has no bytes of its own");
