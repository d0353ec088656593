import assert from "node:assert/strict";
import { test } from "node:test";

import { component, failure, vectors } from "./component.mjs";

const { encode, svg, png } = component.qr;

test("QR codes are the ones that the server draws", async () => {
  const { vectors: all } = await vectors("qr");
  assert.ok(all.length > 0);
  for (const { name, text, rows } of all) {
    const { size, modules } = encode(text, undefined);
    const drawn = Array.from({ length: size }, (_, y) =>
      modules.slice(y * size, (y + 1) * size).map((/** @type {boolean} */ dark) => (dark ? "#" : ".")).join(""),
    );
    assert.deepEqual(drawn, rows, name);
  }
});

test("SVG and PNG have a quiet zone of four modules", () => {
  const side = encode("text", undefined).size + 8;
  const image = svg("text", undefined, undefined);
  assert.ok(image.includes(`viewBox="0 0 ${side} ${side}"`));
  assert.ok(!image.includes("<title>"));
  assert.ok(svg("text", undefined, "Scan & <go>").includes("<title>Scan &amp; &lt;go&gt;</title>"));

  assert.deepEqual(png("text", undefined, undefined), png("text", undefined, 8));
  for (const [scale, pixels] of [[0, 1], [1, 1], [3, 3], [32, 32], [33, 32], [256, 32], [2 ** 32 - 1, 32]]) {
    const file = Buffer.from(png("text", undefined, scale));
    assert.equal(file.subarray(0, 8).toString("latin1"), "\x89PNG\r\n\x1a\n");
    // Width and height are the first members of IHDR, the first chunk.
    assert.deepEqual([file.readUInt32BE(16), file.readUInt32BE(20)], [side * pixels, side * pixels], `scale ${scale}`);
  }
});

test("each level holds what it can and not a byte more", () => {
  // ISO/IEC 18004 table 7, version 40 in byte mode.
  for (const [level, most] of Object.entries({ l: 2953, m: 2331, q: 1663, h: 1273 })) {
    assert.equal(encode("a".repeat(most), level).size, 177, level);
    assert.throws(() => encode("a".repeat(most + 1), level), failure("too-long"), level);
  }
  assert.deepEqual(encode("text", "m"), encode("text", undefined));
  assert.deepEqual(encode("a".repeat(2332), "l"), encode("a".repeat(2332), undefined));
});

test("a text that no QR code holds is refused", () => {
  for (const draw of [encode, svg, png]) {
    assert.throws(() => draw("a".repeat(2954), undefined, undefined), failure("too-long"));
  }
});
