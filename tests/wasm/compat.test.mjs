import assert from "node:assert/strict";
import { test } from "node:test";

import { failure, sidekey, vectors } from "./module.mjs";

test("what apps do otherwise is warned of", () => {
  for (const { name, config, scheme, codes } of vectors("compat").vectors) {
    const warnings = sidekey.compat(config, { scheme });
    assert.deepEqual(warnings.map(({ code }) => code), codes, name);
    for (const { field, apps, message } of warnings) {
      assert.ok(["algorithm", "digits", "period", "issuer", "account"].includes(field), field);
      assert.ok(apps.every((app) => typeof app === "string"));
      assert.match(message, /^[a-zA-Z].*[^.]$/);
    }
  }
});

test("what no key URI can have is an error and no warning", () => {
  assert.throws(() => sidekey.compat({ issuer: "a:b" }), failure("ISSUER_INVALID", "issuer"));
  assert.throws(() => sidekey.compat({ period: 1 }), failure("PERIOD_OUT_OF_RANGE", "period"));
  assert.throws(() => sidekey.compat({}, { scheme: /** @type {"otpauth"} */ ("http") }), failure("INVALID_ARGUMENT", "scheme"));
});

test("Apple's scheme is written and read", () => {
  const config = { secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", issuer: "example.com", account: "ann" };
  const uri = sidekey.buildUri(config, { scheme: "apple-otpauth" });
  assert.match(uri, /^apple-otpauth:\/\/totp\/example\.com:ann\?/);
  assert.deepEqual(sidekey.parseUri(uri), sidekey.parseUri(sidekey.buildUri(config)));
});
