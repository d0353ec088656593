import assert from "node:assert/strict";
import { test } from "node:test";

import { failure, sidekey, vectors } from "./module.mjs";

const SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

test("key URIs are accepted or refused as their names say", () => {
  const { vectors: all } = vectors("key_uri");
  assert.ok(all.length > 50);
  for (const { name, uri, error, built, ...parts } of all) {
    if (parts.issuer === null) parts.issuer = "";
    if (name.startsWith("accept_")) {
      const parsed = sidekey.parseUri(uri);
      assert.equal(Object.getPrototypeOf(parsed), Object.prototype);
      assert.deepEqual(parsed, parts, name);
      assert.equal(sidekey.buildUri(parsed), built, name);
    } else {
      assert.ok(name.startsWith("refuse_"), `${name} has no verdict`);
      assert.throws(() => sidekey.parseUri(uri), failure(error), name);
    }
  }
});

test("parts left out have the format's defaults", () => {
  const uri = `otpauth://totp/ann?secret=${SECRET}&algorithm=SHA1&digits=6&period=30`;
  assert.equal(sidekey.buildUri({ secret: SECRET, account: "ann" }), uri);
  const absent = { issuer: null, algorithm: undefined, digits: undefined, period: undefined };
  assert.equal(sidekey.buildUri(/** @type {any} */ ({ secret: SECRET, account: "ann", ...absent })), uri);
});

test("any label comes back as it was", () => {
  for (const account of ["a+b", "100%", "a&b=c?d#e", "host:8000", "Zoë Жук 山😀", "a%20b", "a/b\\c", "'\"<>"]) {
    const config = { secret: SECRET, issuer: "ACME + Söhne", account };
    const parsed = sidekey.parseUri(sidekey.buildUri(config));
    assert.deepEqual(parsed, { ...config, algorithm: "SHA1", digits: 6, period: 30 });
    // The browser's own parser reads the same.
    const url = new URL(sidekey.buildUri(config));
    assert.equal(url.searchParams.get("issuer"), config.issuer);
    assert.equal(decodeURIComponent(url.pathname.split(":").at(-1) ?? ""), account);
  }
});

test("parts that make no key URI are refused", () => {
  const build = (/** @type {any} */ parts) => () => sidekey.buildUri({ secret: SECRET, account: "ann", ...parts });
  assert.throws(build({ secret: undefined }), failure("SECRET_MISSING"));
  assert.throws(build({ secret: 7 }), failure("INVALID_ARGUMENT"));
  assert.throws(build({ secret: "0" }), failure("SECRET_NOT_BASE32"));
  assert.throws(build({ account: "" }), failure("ACCOUNT_INVALID"));
  assert.throws(build({ account: null }), failure("ACCOUNT_INVALID"));
  assert.throws(build({ account: "a:b" }), failure("ACCOUNT_INVALID"));
  assert.equal(build({ issuer: "" })(), sidekey.buildUri({ secret: SECRET, account: "ann" }));
  assert.throws(build({ issuer: "a:b" }), failure("ISSUER_INVALID"));
  assert.throws(build({ issuer: {} }), failure("INVALID_ARGUMENT"));
  assert.throws(build({ algorithm: "md5" }), failure("ALGORITHM_UNKNOWN"));
  assert.throws(build({ digits: 5 }), failure("DIGITS_OUT_OF_RANGE"));
  assert.throws(build({ digits: "6" }), failure("INVALID_ARGUMENT"));
  assert.throws(build({ period: 30.5 }), failure("PERIOD_OUT_OF_RANGE"));
  for (const config of [undefined, null, "otpauth", 7]) {
    assert.throws(() => sidekey.buildUri(/** @type {any} */ (config)), failure("INVALID_ARGUMENT"));
  }
});
