// The package beside otpauth + qrcode: node tests/package/bench.mjs
//
// Both sides take turns in one process, and the best of their turns counts, so that the ratios hold on a busy
// machine too. Figures are printed and nothing depends on them.

import { Buffer } from "node:buffer";
import { performance } from "node:perf_hooks";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";
import * as OTPAuth from "otpauth";
// @ts-expect-error: it has no types of its own
import QRCode from "qrcode";
import { preview, qrMatrix, qrSvg } from "sidekey";

import { HERE, node } from "./process.mjs";

const SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const URI = `otpauth://totp/Example:ann%40example.com?secret=${SECRET}&issuer=Example&algorithm=SHA1&digits=6&period=30`;
const TURNS = 7;
const TURN_MS = 150;

/** What either side does once. @typedef {() => unknown} Work */

/** Times per second, the best of all turns. @param {Work} ours @param {Work} theirs */
async function perSecond(ours, theirs) {
  const best = [0, 0];
  for (let turn = 0; turn < TURNS; turn += 1) {
    for (const [side, work] of [ours, theirs].entries()) {
      const start = performance.now();
      let times = 0;
      let taken = 0;
      while (taken < TURN_MS) {
        const result = work();
        if (result instanceof Promise) await result;
        times += 1;
        taken = performance.now() - start;
      }
      best[side] = Math.max(best[side] ?? 0, (times / taken) * 1000);
    }
  }
  return best;
}

/** Milliseconds from the first line of a program to its first code, loading included; the best of all turns. */
async function firstCode() {
  const ours = `const { preview } = await import("sidekey"); preview({ secret: "${SECRET}" });`;
  const theirs = `const { TOTP, Secret } = await import("otpauth"); new TOTP({ secret: Secret.fromBase32("${SECRET}") }).generate();`;
  const best = [Infinity, Infinity];
  for (let turn = 0; turn < TURNS; turn += 1) {
    for (const [side, code] of [ours, theirs].entries()) {
      const { stdout } = await node(["--input-type=module", "--eval", `const start = performance.now(); ${code} console.log(performance.now() - start);`]);
      best[side] = Math.min(best[side] ?? Infinity, Number(stdout));
    }
  }
  return best;
}

/** Kilobytes that a page loads for codes, key URIs and QR codes: bundled, minified, gzip. */
async function sizes() {
  const ours = `export { buildUri, parseUri, preview, qrSvg } from "sidekey";`;
  const theirs = `export { TOTP, URI } from "otpauth"; export { toString } from "qrcode";`;
  return Promise.all(
    [ours, theirs].map(async (contents) => {
      const { outputFiles } = await build({ stdin: { contents, resolveDir: HERE }, bundle: true, minify: true, format: "esm", platform: "browser", write: false });
      return gzipSync(outputFiles[0]?.contents ?? Buffer.alloc(0), { level: 9 }).byteLength / 1000;
    }),
  );
}

/** @type {[string, number[]][]} */
const rows = [];
let atMs = 0;
for (const algorithm of /** @type {const} */ (["SHA1", "SHA256", "SHA512"])) {
  const kept = new OTPAuth.TOTP({ secret: OTPAuth.Secret.fromBase32(SECRET), algorithm });
  const ours = () => preview({ secret: SECRET, algorithm }, (atMs += 30_000));
  rows.push([`codes per second, ${algorithm}`, await perSecond(ours, () => kept.generate({ timestamp: (atMs += 30_000) }))]);
}
const fresh = () => new OTPAuth.TOTP({ secret: OTPAuth.Secret.fromBase32(SECRET) }).generate({ timestamp: (atMs += 30_000) });
rows.push(["codes per second, secret from text each time", await perSecond(() => preview({ secret: SECRET }, (atMs += 30_000)), fresh)]);
rows.push(["QR codes per second, as modules", await perSecond(() => qrMatrix(URI), () => QRCode.create(URI, { errorCorrectionLevel: "M" }))]);
rows.push(["QR codes per second, as SVG", await perSecond(() => qrSvg(URI), () => QRCode.toString(URI, { type: "svg", errorCorrectionLevel: "M" }))]);
rows.push(["first code, loading included, ms", await firstCode()]);
rows.push(["size in a page, kB gzip", await sizes()]);

/** @param {number} value */
const shown = (value) => (value >= 1000 ? Math.round(value).toLocaleString("en") : value.toFixed(1));
console.log(`${"".padEnd(46)}${"sidekey".padStart(12)}${"otpauth+qrcode".padStart(16)}${"ratio".padStart(8)}`);
for (const [name, [ours = 0, theirs = 0]] of rows) {
  console.log(`${name.padEnd(46)}${shown(ours).padStart(12)}${shown(theirs).padStart(16)}${(ours / theirs).toFixed(2).padStart(8)}`);
}
