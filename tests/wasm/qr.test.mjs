import assert from "node:assert/strict";
import { test } from "node:test";

import { failure, sidekey, vectors } from "./module.mjs";

/** @param {import("../../wasm/npm/index.js").QrMatrix} matrix */
const rows = ({ size, modules }) =>
  Array.from({ length: size }, (_, y) =>
    Array.from(modules.subarray(y * size, (y + 1) * size), (dark) => (dark ? "#" : ".")).join(""),
  );

test("QR codes are the ones that the server draws", () => {
  for (const { name, text, rows: expected } of vectors("qr").vectors) {
    const matrix = sidekey.qrMatrix(text);
    assert.equal(Object.getPrototypeOf(matrix), Object.prototype);
    assert.ok(matrix.modules instanceof Uint8Array && matrix.modules.every((module) => module <= 1));
    assert.equal(matrix.modules.length, matrix.size ** 2, name);
    assert.deepEqual(rows(matrix), expected, name);
  }
});

test("the SVG draws the same modules within a quiet zone of four", () => {
  for (const { name, text, rows: expected } of vectors("qr").vectors) {
    const svg = sidekey.qrSvg(text);
    const side = expected.length + 8;
    assert.ok(svg.includes(`viewBox="0 0 ${side} ${side}"`), name);
    assert.doesNotMatch(svg, /script|style|href|on[a-z]+=/);

    const drawn = Array.from(expected, (/** @type {string} */ row) => Array(row.length).fill("."));
    for (const [, ...numbers] of svg.matchAll(/M(\d+) (\d+)h(\d+)v1h-\3z/g)) {
      const [x, y, width] = numbers.map(Number);
      drawn[y - 4].fill("#", x - 4, x - 4 + width);
    }
    assert.deepEqual(drawn.map((row) => row.join("")), expected, name);
  }
});

test("a matrix stays as it is when the next one is made", () => {
  const first = sidekey.qrMatrix("first");
  const copy = Uint8Array.from(first.modules);
  sidekey.qrMatrix("second ".repeat(200));
  assert.deepEqual(first.modules, copy);
});

test("a text that no QR code holds is refused", () => {
  assert.equal(sidekey.qrMatrix("a".repeat(2953)).size, 177);
  assert.throws(() => sidekey.qrMatrix("a".repeat(2954)), failure("QR_TOO_LONG"));
  assert.throws(() => sidekey.qrSvg("a".repeat(100_000)), failure("QR_TOO_LONG"));
});
