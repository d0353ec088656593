// The package beside otpauth + qrcode, in Node.js and in Chromium: cargo xtask bench browser
//
// node tests/package/bench.mjs [--docs <folder>]     puts the figures into its performance.md as well
//
// Nothing depends on the figures.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";
import * as otpauth from "otpauth";
// @ts-expect-error: it has no types of its own
import qrcode from "qrcode";
import * as sidekey from "sidekey";

import { launch } from "../browser/browser.mjs";
import { contest } from "./bench/contest.mjs";
import { HERE, node } from "./process.mjs";
import { PAGE, ask, inFolder, serve } from "./site.mjs";

/** @typedef {import("./bench/contest.mjs").Row} Row */

const SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const TURNS = 9;
const [BEGIN, END] = ["<!-- browser: written by `cargo xtask bench browser --write` -->", "<!-- end of browser -->"];

/** @param {import("esbuild").StdinOptions | string} entry */
async function bundle(entry) {
  const input = typeof entry === "string" ? { entryPoints: [join(HERE, "bench", entry)] } : { stdin: entry };
  const { outputFiles } = await build({ ...input, bundle: true, minify: true, format: "esm", platform: "browser", target: "es2022", write: false });
  const [output] = outputFiles;
  if (!output) throw new Error("esbuild wrote nothing");
  return output.contents;
}

/** Kilobytes that a page loads for codes, key URIs and QR codes: bundled, minified, gzip. @returns {Promise<Row>} */
async function sizes() {
  const of = async (/** @type {string} */ contents) => gzipSync(await bundle({ contents, resolveDir: HERE }), { level: 9 }).byteLength / 1000;
  const ours = await of(`export { buildUri, parseUri, preview, qrSvg } from "sidekey";`);
  const theirs = await of(`export { TOTP, URI } from "otpauth"; export { toString } from "qrcode";`);
  return { what: "size in a page, kB gzip", ours, theirs };
}

/** Milliseconds from the first line of a program to its first code, loading included; the median. @returns {Promise<Row>} */
async function firstCode() {
  const ours = `const { preview } = await import("sidekey"); preview({ secret: "${SECRET}" });`;
  const theirs = `const { TOTP, Secret } = await import("otpauth"); new TOTP({ secret: Secret.fromBase32("${SECRET}") }).generate();`;
  const measure = async (/** @type {string} */ code) => {
    const { stdout } = await node(["--input-type=module", "--eval", `const start = performance.now(); ${code} console.log(performance.now() - start);`]);
    return Number(stdout);
  };
  return byTurns("first code in a new process, ms", () => measure(ours), () => measure(theirs));
}

/** @param {string} what @param {() => Promise<number>} ours @param {() => Promise<number>} theirs @returns {Promise<Row>} medians */
async function byTurns(what, ours, theirs) {
  /** @type {[number[], number[]]} */
  const taken = [[], []];
  for (let turn = 0; turn < TURNS; turn += 1) {
    taken[0].push(await ours());
    taken[1].push(await theirs());
  }
  const [mine = NaN, other = NaN] = taken.map((all) => all.sort((a, b) => a - b)[(all.length - 1) / 2]);
  return { what, ours: mine, theirs: other };
}

/** @returns {Promise<Row[]>} */
async function inChromium() {
  /** @type {Row[]} */
  const rows = [];
  const browser = await launch();
  try {
    const withPage = async (/** @type {string} */ entry, /** @type {(origin: string) => Promise<void>} */ use) =>
      inFolder(async (folder) => {
        await writeFile(join(folder, "bundle.js"), await bundle(entry));
        await writeFile(join(folder, "index.html"), PAGE);
        const site = await serve({ "/": folder });
        try {
          await use(site.origin);
        } finally {
          await site.stop();
        }
      });
    await withPage("first-ours.mjs", (ours) =>
      withPage("first-theirs.mjs", async (theirs) => {
        // A context of its own each time: nothing is compiled yet.
        const first = async (/** @type {string} */ origin) => {
          const context = await browser.newContext();
          try {
            return Number((await ask(/** @type {any} */ (context), origin, null, "firstQr")).answer);
          } finally {
            await context.close();
          }
        };
        rows.push(await byTurns("first QR code shown after the bundle arrived, ms", () => first(ours), () => first(theirs)));
      }),
    );
    await withPage("page.mjs", async (origin) => {
      rows.push(.../** @type {Row[]} */ ((await ask(browser, origin, null, "contest")).answer));
    });
  } finally {
    await browser.close();
  }
  return rows;
}

/** @param {number} value */
const shown = (value) => (value >= 1000 ? Math.round(value).toLocaleString("en") : value.toFixed(1));

/** @param {[string, Row[]][]} tables by where it was measured */
function markdown(tables) {
  const lines = ["| in | what | sidekey | otpauth + qrcode | ratio |", "|---|---|---:|---:|---:|"];
  for (const [place, rows] of tables) {
    for (const { what, ours, theirs } of rows) lines.push(`| ${place} | ${what} | ${shown(ours)} | ${shown(theirs)} | ${(ours / theirs).toFixed(2)} |`);
  }
  return lines.join("\n");
}

const { docs } = parseArgs({ options: { docs: { type: "string" } } }).values;
console.error("in Node.js …");
const before = performance.now();
/** @type {Row[]} */
const inNode = [await sizes(), await firstCode(), ...(await contest({ sidekey, otpauth, qrcode }))];
console.error(`in Chromium … (${Math.round((performance.now() - before) / 1000)} s so far)`);
const tables = markdown([
  [`Node.js ${process.versions.node.split(".")[0]}`, inNode],
  ["Chromium", await inChromium()],
]);
console.log(tables);
if (docs) {
  const file = join(docs, "performance.md");
  const text = await readFile(file, "utf8");
  const [start, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (start < 0 || end < start) throw new Error(`${file} has no place for the figures: it lacks the lines ${BEGIN} and ${END}`);
  await writeFile(file, `${text.slice(0, start + BEGIN.length)}\n\n${tables}\n\n${text.slice(end)}`);
}
