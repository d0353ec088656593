// What every fixture is asked, and what the vectors say that it has to answer.

import { readFile } from "node:fs/promises";

/** @param {string} name */
async function vectors(name) {
  const text = await readFile(new URL(`../vectors/${name}.json`, import.meta.url), "utf8");
  return JSON.parse(text).vectors;
}

/** @param {any[]} all @param {...string} names */
const named = (all, ...names) => names.map((name) => all.find((vector) => vector.name === name));

/** @typedef {{ secret: string, algorithm: "SHA1" | "SHA256" | "SHA512", digits: 6 | 7 | 8, period: number, unix_time: number, code: string }} CodeVector */

/** @type {CodeVector[]} */
const codes = await vectors("rfc6238");
const symbols = named(await vectors("qr"), "one_letter", "key_uri");
const keyUris = await vectors("key_uri");
const accepted = named(keyUris, "accept_written_in_full", "accept_unicode", "accept_other_parameters_set");
const [refused] = named(keyUris, "refuse_secret_of_80_bits");

/** @typedef {typeof questions} Questions */

/** Small enough for the query of a URL. */
export const questions = {
  codes: codes.map(({ secret, algorithm, digits, period, unix_time }) => ({
    config: { secret, algorithm, digits, period },
    atMs: unix_time * 1000,
  })),
  texts: symbols.map(({ text }) => /** @type {string} */ (text)),
  uris: accepted.map(({ uri }) => /** @type {string} */ (uri)),
  refused: /** @type {string} */ (refused.uri),
};

export const answers = {
  codes: codes.map(({ code }) => code),
  symbols: symbols.map(({ rows }) => rows),
  keyUris: accepted.map(({ name, uri, built, ...parts }) => parts),
  rebuilt: accepted.map(({ built }) => built),
  refusal: { name: "OtpError", code: refused.error, isOtpError: true },
};
