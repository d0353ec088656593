import assert from "node:assert/strict";
import { test } from "node:test";

import { failure, sidekey } from "./module.mjs";

test("a secret is shown in groups of four", () => {
  assert.equal(sidekey.formatSecret("GEZDGNBVGY3TQOJQ"), "GEZD GNBV GY3T QOJQ");
  assert.equal(sidekey.formatSecret("GEZD GNBVGY"), "GEZD GNBV GY");
  assert.equal(sidekey.formatSecret(""), "");
});

test("a fresh secret has the length asked for and is never the same", () => {
  assert.match(sidekey.generateSecret(), /^[A-Z2-7]{32}$/);
  assert.match(sidekey.generateSecret(undefined), /^[A-Z2-7]{32}$/);
  for (const [bytes, characters] of [[16, 26], [20, 32], [32, 52], [64, 103]]) {
    assert.equal(sidekey.generateSecret(/** @type {16} */ (bytes)).length, characters);
  }
  const many = Array.from({ length: 100 }, () => sidekey.generateSecret(16));
  assert.equal(new Set(many).size, many.length);
});

test("a secret of another length is refused", () => {
  for (const bytes of [0, 15]) assert.throws(() => sidekey.generateSecret(/** @type {16} */ (bytes)), failure("SECRET_TOO_SHORT"));
  for (const bytes of [129, 2 ** 31, 2 ** 32 + 20]) assert.throws(() => sidekey.generateSecret(/** @type {16} */ (bytes)), failure("SECRET_TOO_LONG"));
  for (const bytes of [-20, 20.5, NaN]) {
    assert.throws(() => sidekey.generateSecret(/** @type {16} */ (bytes)), failure("INVALID_ARGUMENT"));
  }
});

test("a typed code loses blanks and hyphens, and its digits become ASCII", () => {
  assert.equal(sidekey.normalizeCode(" 123-456\n"), "123456");
  assert.equal(sidekey.normalizeCode("٠١٢ ٣٤٥"), "012345");
  assert.equal(sidekey.normalizeCode("۶۷۸۹۰۱"), "678901");
  assert.equal(sidekey.normalizeCode("１２３　４５６"), "123456");
  assert.equal(sidekey.normalizeCode("\u200e123\u00a0456"), "123456");
  assert.equal(sidekey.normalizeCode("12a456"), "12a456");
  assert.equal(sidekey.normalizeCode(""), "");
});

test("a typed backup code keeps its letters, which the server judges", () => {
  assert.equal(sidekey.normalizeBackupCode(" abcd-efgh jkmn–pqr１ "), "abcd-efgh jkmn-pqr1");
  assert.equal(sidekey.normalizeBackupCode("\u200eoOiIlL"), "oOiIlL");
});
