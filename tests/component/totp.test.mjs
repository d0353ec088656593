import assert from "node:assert/strict";
import { test } from "node:test";

import { component, failure, params, vectors } from "./component.mjs";

const SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const { previewAt } = component.totp;

test("RFC 6238 appendix B, all three algorithms", async () => {
  const { vectors: all } = await vectors("rfc6238");
  assert.equal(all.length, 18);
  for (const { secret, unix_time, step, code, ...vector } of all) {
    const preview = previewAt({ secret, ...params(vector) }, BigInt(unix_time) * 1000n);
    assert.equal(preview.code, code, `${vector.algorithm} at ${unix_time}`);
    assert.equal(preview.step, BigInt(step));
  }
});

test("RFC 4226 appendix D, a counter being a step", async () => {
  const { secret, algorithm, digits, vectors: all } = await vectors("rfc4226");
  assert.equal(all.length, 10);
  for (const { counter, code } of all) {
    const config = { secret, ...params({ algorithm, digits }) };
    assert.equal(previewAt(config, BigInt(counter) * 30_000n).code, code);
  }
});

test("a preview tells when the code is valid", () => {
  assert.deepEqual(previewAt({ secret: SECRET }, 1_111_111_111_000n), {
    code: "050471",
    display: "050 471",
    step: 37_037_037n,
    validFrom: 1_111_111_110_000n,
    validUntil: 1_111_111_140_000n,
    remaining: 29_000n,
  });
  assert.equal(previewAt({ secret: SECRET }, 89_999n).remaining, 1n);
  assert.equal(previewAt({ secret: SECRET, period: 120 }, 0n).remaining, 120_000n);
  assert.ok(previewAt({ secret: SECRET }, 2n ** 64n - 1n).remaining > 0n);
});

test("what is out of range is an error of its own", () => {
  const call = (/** @type {object} */ changed) => () => previewAt({ secret: SECRET, ...changed }, 0n);
  for (const digits of [0, 5, 9, 262]) assert.throws(call({ digits }), failure({ tag: "digits" }));
  for (const period of [0, 14, 121, 286]) assert.throws(call({ period }), failure({ tag: "period" }));
  assert.throws(call({ secret: "" }), failure({ tag: "no-secret" }));
  assert.throws(call({ secret: "1".repeat(32) }), failure({ tag: "secret", val: "not-base32" }));
  assert.throws(call({ secret: "GEZDGNBV" }), failure({ tag: "secret", val: "too-short" }));
  assert.throws(call({ secret: "A".repeat(208) }), failure({ tag: "secret", val: "too-long" }));
});
