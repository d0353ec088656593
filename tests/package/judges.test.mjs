// Independent judges: what the package computes, computed and read by others, over random inputs.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import jsqr from "jsqr";
import * as OTPAuth from "otpauth";
import * as otplib from "otplib";
import { buildUri, parseUri, preview, qrMatrix } from "sidekey";

/** The function is the module itself, whatever its types say. @type {typeof jsqr.default} */
const scan = /** @type {any} */ (jsqr);

/** Another sequence: SIDEKEY_SEED=anything. Every failure names it. */
const SEED = process.env["SIDEKEY_SEED"] ?? "sidekey";
const ALGORITHMS = /** @type {const} */ (["SHA1", "SHA256", "SHA512"]);
const CHARACTERS = [..."abcdefghijklmnopqrstuvwxyzABCXYZ0123456789 -_.@+%&=?#/'\"<>äßéЖ山😀"];

/** @typedef {ReturnType<typeof random>} Random */

/** The same sequence for the same name, on every machine. @param {string} name */
function random(name) {
  let block = 0;
  let rest = Buffer.alloc(0);
  /** @param {number} length */
  const bytes = (length) => {
    while (rest.length < length) rest = Buffer.concat([rest, createHash("sha256").update(`${SEED} ${name} ${block++}`).digest()]);
    const taken = rest.subarray(0, length);
    rest = rest.subarray(length);
    return new Uint8Array(taken);
  };
  /** @param {number} limit */
  const below = (limit) => Buffer.from(bytes(6)).readUIntBE(0, 6) % limit;
  return {
    bytes,
    below,
    /** @template T @param {readonly T[]} all @returns {T} */
    pick: (all) => /** @type {T} */ (all[below(all.length)]),
    /** A text of one to `length` characters that neither begins nor ends with a blank. @param {number} length */
    text: (length) => `x${Array.from({ length: below(length) }, () => CHARACTERS[below(CHARACTERS.length)]).join("")}`.trim(),
  };
}

/**
 * @param {string} name @param {number} times
 * @param {(random: Random, round: number) => void} check
 */
function rounds(name, times, check) {
  const source = random(name);
  for (let round = 0; round < times; round += 1) {
    try {
      check(source, round);
    } catch (cause) {
      throw new Error(`round ${round} of ${times}, to be repeated with SIDEKEY_SEED=${JSON.stringify(SEED)}: ${cause}`, { cause });
    }
  }
}

/** @param {Random} random */
function config({ bytes, below, pick }) {
  return {
    secret: bytes(16 + below(49)),
    algorithm: pick(ALGORITHMS),
    digits: pick(/** @type {const} */ ([6, 7, 8])),
    period: pick([15, 30, 45, 60, 120]),
  };
}

test("codes: otpauth and otplib compute the same", () => {
  rounds("codes", 500, (random) => {
    const parts = config(random);
    const { secret, algorithm, digits, period } = parts;
    const atMs = random.below(2 ** 42);
    const { code, counter } = preview(parts, atMs);
    assert.equal(counter, Math.floor(atMs / 1000 / period));
    const otpauth = new OTPAuth.TOTP({ secret: new OTPAuth.Secret({ buffer: Uint8Array.from(secret).buffer }), algorithm, digits, period });
    assert.equal(code, otpauth.generate({ timestamp: atMs }), `otpauth with ${algorithm}, ${digits} digits, ${period} s at ${atMs}`);
    const name = /** @type {"sha1"} */ (algorithm.toLowerCase());
    const other = otplib.generateSync({ secret, algorithm: name, digits, period, epoch: Math.floor(atMs / 1000) });
    assert.equal(code, other, `otplib with ${algorithm}, ${digits} digits, ${period} s at ${atMs}`);
  });
});

test("key URIs: otpauth reads what the package writes, and the package what otpauth writes", () => {
  rounds("key URIs", 300, (random) => {
    const { secret, ...rest } = config(random);
    const parts = { ...rest, secret: new OTPAuth.Secret({ buffer: Uint8Array.from(secret).buffer }).base32, issuer: label(random), account: label(random) };
    const uri = buildUri(parts);
    const read = OTPAuth.URI.parse(uri);
    assert.ok(read instanceof OTPAuth.TOTP);
    const { issuer, label: account, algorithm, digits, period } = read;
    assert.deepEqual({ issuer, account, algorithm, digits, period, secret: read.secret.base32 }, parts, uri);
    assert.deepEqual(parseUri(read.toString()), parts, read.toString());
  });
});

/** A colon ends the issuer. @param {Random} random */
const label = (random) => random.text(20).replaceAll(":", "");

test("QR codes: jsqr reads what the package draws", () => {
  rounds("QR codes", 60, (random) => {
    const text = random.text(random.pick([10, 60, 200]));
    assert.equal(read(qrMatrix(text)), text);
    const uri = buildUri({ ...config(random), issuer: label(random), account: label(random) });
    assert.equal(read(qrMatrix(uri)), uri);
  });
});

/** Photographs a symbol, four pixels a module, in a quiet zone of four. @param {import("sidekey").QrMatrix} matrix */
function read({ size, modules }) {
  const [scale, quiet] = [4, 4];
  const side = (size + 2 * quiet) * scale;
  const pixels = new Uint8ClampedArray(side * side * 4).fill(255);
  modules.forEach((dark, at) => {
    const [x, y] = [(at % size) + quiet, Math.floor(at / size) + quiet];
    for (let row = 0; dark && row < scale; row += 1) {
      const from = ((y * scale + row) * side + x * scale) * 4;
      for (let pixel = from; pixel < from + scale * 4; pixel += 4) pixels.fill(0, pixel, pixel + 3);
    }
  });
  return scan(pixels, side, side)?.data;
}
