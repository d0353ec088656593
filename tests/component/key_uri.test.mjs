import assert from "node:assert/strict";
import { test } from "node:test";

import { KEY_URI_ERRORS, component, failure, named, params, vectors } from "./component.mjs";

const SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const { parse, build } = component.keyUri;

test("key URIs are accepted or refused as their names say", async () => {
  const { vectors: all } = await vectors("key_uri");
  assert.ok(all.length > 50);
  for (const { name, uri, error, built, issuer, account, secret, ...vector } of all) {
    if (name.startsWith("accept_")) {
      const parts = parse(uri);
      assert.deepEqual(parts, { secret, issuer: issuer ?? undefined, account, ...params(vector) }, name);
      assert.equal(build(parts, "otpauth"), built, name);
    } else {
      assert.ok(name.startsWith("refuse_"), `${name} has no verdict`);
      assert.throws(() => parse(uri), failure(named(KEY_URI_ERRORS, error)), name);
    }
  }
});

test("what is left out has the format's defaults", () => {
  const rest = `totp/ann?secret=${SECRET}&algorithm=SHA1&digits=6&period=30`;
  const config = { secret: SECRET, account: "ann" };
  assert.equal(build(config, undefined), `otpauth://${rest}`);
  assert.equal(build({ ...config, issuer: "" }, "otpauth"), `otpauth://${rest}`);
  assert.equal(build(config, "apple-otpauth"), `apple-otpauth://${rest}`);
});

test("any label comes back as it was", () => {
  for (const account of ["a+b", "100%", "a&b=c?d#e", "host:8000", "Zoë Жук 山😀", "a%20b", "a/b\\c", "'\"<>"]) {
    const parts = { secret: SECRET, issuer: "ACME + Söhne", account, algorithm: "sha256", digits: 8, period: 60 };
    assert.deepEqual(parse(build(parts, undefined)), parts);
  }
});

test("parts that make no key URI are refused", () => {
  const call = (/** @type {object} */ changed) => () => build({ secret: SECRET, account: "ann", ...changed }, undefined);
  assert.throws(call({ secret: "" }), failure({ tag: "no-secret" }));
  assert.throws(call({ account: undefined }), failure({ tag: "account" }));
  assert.throws(call({ account: "" }), failure({ tag: "account" }));
  assert.throws(call({ account: "a:b" }), failure({ tag: "account" }));
  assert.throws(call({ issuer: "a:b" }), failure({ tag: "issuer" }));
  assert.throws(call({ digits: 9 }), failure({ tag: "digits" }));
  assert.throws(call({ period: 14 }), failure({ tag: "period" }));
  assert.throws(call({ algorithm: "md5" }), TypeError);
});
