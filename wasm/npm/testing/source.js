// @ts-check
/** Where a virtual authenticator gets its key from: a key URI, a bare secret, a QR code in any shape, or a page. */

import { matrixOfPath, readQr } from "../elements/read-qr.js";
import { parseUri } from "../index.js";

/** @typedef {import("./index.d.ts").Source} Source */
/** @typedef {import("./index.d.ts").QrDecoder} QrDecoder */
/** @typedef {import("./index.d.ts").PageLike} PageLike */
/** @typedef {import("./index.d.ts").LocatorLike} LocatorLike */

const SCHEME = /^(apple-)?otpauth:/i;
/** The links and elements of Sidekey's pages that hold a key URI; Playwright looks into open shadow roots as well. */
const BEARER = 'a[href^="otpauth:"], sidekey-qr[uri]';

/**
 * The parts of the key that a source holds.
 * @param {Source} source
 * @param {QrDecoder | undefined} decode
 */
export async function keyOf(source, decode) {
  const text = await textOf(source, decode);
  if (SCHEME.test(text)) return parseUri(text);
  // A bare secret: what Sidekey's own devices and nearly all others use.
  return parseUri(`otpauth://totp/secret?secret=${encodeURIComponent(text.replace(/[\s-]/g, ""))}`);
}

/** @param {Source} source @param {QrDecoder | undefined} decode @returns {Promise<string>} */
async function textOf(source, decode) {
  if (typeof source === "string") return textOfString(source.trim(), decode);
  if (source instanceof Uint8Array) return decoded(decode, source);
  if ("modules" in source) return read(source);
  if ("data" in source) return decoded(decode, source.data, source.width, source.height);
  if ("querySelector" in source) return textOfDocument(source);
  return textOfPage(source);
}

/** @param {string} text @param {QrDecoder | undefined} decode */
function textOfString(text, decode) {
  if (text.startsWith("<svg") || text.startsWith("<?xml")) {
    return read(matrixOfPath(/\bviewBox="([^"]*)"/.exec(text)?.[1] ?? "", /<path\b[^>]*?\sd="([^"]*)"/.exec(text)?.[1] ?? ""));
  }
  const picture = /^data:image\/png;base64,(.*)$/s.exec(text)?.[1];
  if (picture === undefined) return text;
  return decoded(decode, Uint8Array.from(atob(picture), (byte) => byte.charCodeAt(0)));
}

/** @param {import("../elements/read-qr.js").Matrix | null} matrix */
function read(matrix) {
  const text = matrix && readQr(matrix);
  if (text === null) throw new Error("this is no intact QR code that Sidekey has drawn");
  return text;
}

/**
 * @param {QrDecoder | undefined} decode
 * @param {Uint8Array | Uint8ClampedArray} data
 * @param {number} [width]
 * @param {number} [height]
 */
async function decoded(decode, data, width, height) {
  if (!decode) throw new Error("a picture needs the option `decode`: a function that reads a QR code, such as jsqr's");
  const found = await (width === undefined || height === undefined ? decode(data) : decode(data, width, height));
  const text = typeof found === "string" ? found : found?.data;
  if (!text) throw new Error("`decode` found no QR code in the picture");
  return text;
}

/** @param {ParentNode & { getAttribute?: (name: string) => string | null }} root */
function textOfDocument(root) {
  const bearer = root.querySelector(BEARER) ?? root;
  const uri = bearer.getAttribute?.("href") ?? bearer.getAttribute?.("uri");
  if (!uri) throw new Error("there is no link to an authenticator app and no <sidekey-qr uri> here");
  return uri;
}

/** @param {PageLike | LocatorLike} place of Playwright, which waits until the link or element is there */
async function textOfPage(place) {
  const inside = place.locator(BEARER);
  const bearer = ("and" in place ? inside.or(place.and(place.page().locator(BEARER))) : inside).first();
  const uri = (await bearer.getAttribute("href")) ?? (await bearer.getAttribute("uri"));
  if (!uri) throw new Error("there is no link to an authenticator app and no <sidekey-qr uri> on this page");
  return uri;
}
