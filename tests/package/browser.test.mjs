// A page and a worker without any bundler, under the policies that a page may have.

import assert from "node:assert/strict";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";

import jsqr from "jsqr";
import { qrSvg } from "sidekey";

import { launch } from "../browser/browser.mjs";
import { HERE } from "./process.mjs";
import { answers, questions } from "./questions.mjs";
import { PAGE, POLICY, TRUSTED_TYPES, ask, inFolder, serve } from "./site.mjs";

/** The function is the module itself, whatever its types say. @type {typeof jsqr.default} */
const scan = /** @type {any} */ (jsqr);

const PACKAGE = join(HERE, "node_modules/sidekey");

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => void (browser = await launch()));
after(() => browser.close());

/**
 * Asks the page under a policy.
 *
 * @param {string} policy @param {string} name of the page's function @param {unknown} question
 */
async function inPage(policy, name, question) {
  /** @type {Awaited<ReturnType<typeof ask>> | undefined} */
  let answer;
  await inFolder(async (folder) => {
    const { exports } = JSON.parse(await readFile(join(PACKAGE, "package.json"), "utf8"));
    const address = new URL(exports["."].default, "http://localhost/sidekey/").pathname;
    for (const file of ["plain/page.js", "worker.js", "answer.js"]) {
      const text = await readFile(join(HERE, "fixtures", file), "utf8");
      await writeFile(join(folder, file.replace("plain/", "")), text.replace(`from "sidekey"`, `from "${address}"`));
    }
    await writeFile(join(folder, "index.html"), PAGE.replace("bundle.js", "page.js"));
    const site = await serve({ "/sidekey/": PACKAGE, "/": folder }, policy);
    try {
      answer = await ask(browser, site.origin, question, name);
    } finally {
      await site.stop();
    }
  });
  return answer;
}

test("a module script", async () => {
  assert.deepEqual(await inPage(POLICY, "answer", questions), { answer: answers, complaints: [] });
});

test("a module worker", async () => {
  assert.deepEqual(await inPage(POLICY, "inWorker", questions), { answer: answers, complaints: [] });
});

test("trusted types: a symbol is drawn without text that becomes markup", async () => {
  const [, text = ""] = questions.texts;
  const [, path] = / d="([^"]+)"/.exec(qrSvg(text)) ?? [];
  assert.deepEqual(await inPage(TRUSTED_TYPES, "draw", text), { answer: path, complaints: [] });
});

test("a PNG is an image for the browser, and jsqr reads what it shows", async () => {
  for (const text of questions.texts) {
    const result = await inPage(POLICY, "photograph", text);
    const { width, height, grey } = result?.answer;
    assert.ok(grey.every((/** @type {number} */ value) => value === 0 || value === 255), "black and white, nothing transparent");
    const pixels = Uint8ClampedArray.from(grey.flatMap((/** @type {number} */ value) => [value, value, value, 255]));
    assert.equal(scan(pixels, width, height)?.data, text);
  }
});

test("a policy that forbids WebAssembly is named by the error, with the remedy", async () => {
  const result = await inPage(POLICY.replace(" 'wasm-unsafe-eval'", ""), "refusal", questions);
  assert.equal(result?.answer.code, "WASM_BLOCKED_BY_CSP");
  assert.match(result?.answer.message, /wasm-unsafe-eval/);
});

test("no file asks for the network or evaluates text", async () => {
  const files = (await readdir(PACKAGE, { recursive: true })).filter((name) => name.endsWith(".js") && !/^client|^testing/.test(name));
  for (const file of files) {
    const code = (await readFile(join(PACKAGE, file), "utf8")).replace(/\/\*[^]*?\*\/|\/\/ .*/g, "");
    assert.doesNotMatch(code, /\beval\(|new Function\(|import\.meta|XMLHttpRequest|\.innerHTML|^await |^const .* = await /m, file);
  }
});
