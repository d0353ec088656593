import assert from "node:assert/strict";
import { test } from "node:test";

import { failure, sidekey, vectors } from "./module.mjs";

const SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

test("RFC 6238 appendix B, all three algorithms", () => {
  const { vectors: all } = vectors("rfc6238");
  assert.equal(all.length, 18);
  for (const { secret, algorithm, digits, period, unix_time, step, code } of all) {
    const preview = sidekey.preview({ secret, algorithm, digits, period }, unix_time * 1000);
    assert.equal(preview.code, code, `${algorithm} at ${unix_time}`);
    assert.equal(preview.counter, step);
  }
});

test("RFC 4226 appendix D, a counter being a step", () => {
  const { secret, algorithm, digits, vectors: all } = vectors("rfc4226");
  for (const { counter, code } of all) {
    assert.equal(sidekey.preview({ secret, algorithm, digits }, counter * 30_000).code, code);
  }
});

test("a preview is a plain object that tells when the code is valid", () => {
  const preview = sidekey.preview({ secret: SECRET }, 1_111_111_111_000);
  assert.equal(Object.getPrototypeOf(preview), Object.prototype);
  assert.deepEqual(preview, {
    code: "050471",
    display: "050 471",
    counter: 37_037_037,
    validFrom: 1_111_111_110_000,
    validUntil: 1_111_111_140_000,
    remainingMs: 29_000,
    period: 30,
  });
});

test("the time left runs from the whole period to one millisecond and starts again", () => {
  const remaining = (/** @type {number} */ now, period = 30) => sidekey.preview({ secret: SECRET, period }, now).remainingMs;
  assert.equal(remaining(60_000), 30_000);
  assert.equal(remaining(60_001), 29_999);
  assert.equal(remaining(89_999), 1);
  assert.equal(remaining(89_999.9), 1);
  assert.equal(remaining(90_000), 30_000);
  assert.equal(remaining(90_000, 60), 30_000);
  assert.equal(remaining(0, 15), 15_000);
});

test("codes change at the border and nowhere else", () => {
  const code = (/** @type {number} */ now) => sidekey.preview({ secret: SECRET }, now).code;
  assert.equal(code(30_000), "287082");
  assert.equal(code(59_999), "287082");
  assert.equal(code(60_000), "359152");
});

test("what is out of range is refused, never adjusted", () => {
  const usual = { secret: SECRET, algorithm: "SHA1", digits: 6, period: 30, now: 0 };
  const call = (/** @type {Partial<typeof usual>} */ changed) => {
    const { now, ...config } = { ...usual, ...changed };
    return () => sidekey.preview(/** @type {import("../../wasm/npm/index.js").TotpConfig} */ (config), now);
  };
  assert.doesNotThrow(call({}));
  assert.throws(call({ secret: "1".repeat(32) }), failure("SECRET_NOT_BASE32"));
  assert.throws(call({ secret: "GEZDGNBV" }), failure("SECRET_TOO_SHORT"));
  assert.throws(call({ secret: "A".repeat(208) }), failure("SECRET_TOO_LONG"));
  for (const algorithm of ["", "MD5", "SHA-1", "SHA1 "]) {
    assert.throws(call({ algorithm }), failure("ALGORITHM_UNKNOWN"));
  }
  for (const digits of [5, 9, 6.5, 262, NaN]) assert.throws(call({ digits }), failure("DIGITS_OUT_OF_RANGE"));
  for (const period of [0, 14, 121, 286, -30, Infinity]) {
    assert.throws(call({ period }), failure("PERIOD_OUT_OF_RANGE"));
  }
  for (const now of [-1, NaN, Infinity, 2 ** 60]) assert.throws(call({ now }), failure("INVALID_ARGUMENT"));
});

test("an error tells nothing of the secret", () => {
  const secret = "SECRETSECRETSECRETSECRETSECRET!!";
  const silent = (/** @type {unknown} */ error) =>
    error instanceof Error && !`${error.message} ${error.stack}`.includes("SECRETSECRET");
  assert.throws(() => sidekey.preview({ secret }, 0), silent);
  assert.throws(() => sidekey.parseUri(`otpauth://totp/ann?secret=${secret}`), silent);
  assert.throws(() => sidekey.buildUri({ account: "ann", secret }), silent);
});
