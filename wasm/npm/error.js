// @ts-check

/** @typedef {import("./index.js").OtpErrorCode} OtpErrorCode */

/** What every function of this package throws; neither message nor properties hold any input. */
export class OtpError extends Error {
  /**
   * @param {OtpErrorCode} code
   * @param {string} message
   * @param {{ field?: string, cause?: unknown }} [more]
   */
  constructor(code, message, { field, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "OtpError";
    /** What programs branch on. */
    this.code = code;
    /** The part of the configuration that is wrong, where it is one. @type {string | undefined} */
    this.field = field;
  }
}

/** The core throws JSON with `code`, `message` and perhaps `field`. @param {unknown} thrown */
export function fromCore(thrown) {
  if (typeof thrown !== "string") return thrown;
  const { code, message, field } = JSON.parse(thrown);
  return new OtpError(code, message, { field });
}

/** @param {string} field @param {string} expected */
export const wrongArgument = (field, expected) => new OtpError("INVALID_ARGUMENT", `\`${field}\` is not ${expected}`, { field });
