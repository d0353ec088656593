import assert from "node:assert/strict";
import { test } from "node:test";

import { component, failure, imports, instantiate } from "./component.mjs";

const { secrets, text } = component;

test("a secret is shown in groups of four", () => {
  assert.equal(secrets.format("GEZDGNBVGY3TQOJQ"), "GEZD GNBV GY3T QOJQ");
  assert.equal(secrets.format("GEZD GNBVGY"), "GEZD GNBV GY");
});

test("a fresh secret has the length asked for and is never the same", () => {
  for (const [bytes, characters] of [[undefined, 32], [16, 26], [20, 32], [32, 52], [64, 103], [128, 205]]) {
    const secret = secrets.generate(bytes);
    assert.match(secret, /^[A-Z2-7]+$/);
    assert.equal(secret.length, characters);
  }
  const many = Array.from({ length: 100 }, () => secrets.generate(16));
  assert.equal(new Set(many).size, many.length);
});

test("a secret of another length is refused", () => {
  for (const bytes of [0, 15]) assert.throws(() => secrets.generate(bytes), failure("too-short"));
  for (const bytes of [129, 2 ** 32 - 1]) assert.throws(() => secrets.generate(bytes), failure("too-long"));
});

test("a secret is made of the host's random bytes and of nothing else", async () => {
  let calls = 0n;
  const counting = await instantiate(() => calls++);
  assert.equal(calls, 0n);
  // The numbers 0 and 1 in 64 bits each, little end first.
  assert.equal(counting.secrets.generate(16), "AAAAAAAAAAAAAAIAAAAAAAAAAA");
  assert.equal(calls, 2n);
});

test("the component imports neither files nor network nor a clock", () => {
  assert.ok(imports.includes("wasi:random/random"));
  for (const name of imports) assert.match(name, /^wasi:(random\/random$|cli\/|io\/)/);
});

test("what people type is made ready to send", () => {
  assert.equal(text.normalizeCode("\u200e１２３ ٤٥٦"), "123456");
  assert.equal(text.normalizeCode("12a456"), "12a456");
  assert.equal(text.normalizeBackupCode(" abcd-efgh jkmn–oil1 "), "abcd-efgh jkmn-oil1");
});
