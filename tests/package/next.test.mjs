// Next.js with its app router, built by either of its bundlers: server component, client component, routes.

import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { launch } from "../browser/browser.mjs";
import { HERE, node, start } from "./process.mjs";
import { answers, questions } from "./questions.mjs";
import { ask } from "./site.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => void (browser = await launch()));
after(() => browser.close());

const NEXT = join(HERE, "node_modules/next/dist/bin/next");
const cwd = join(HERE, "fixtures/next");

for (const bundler of ["turbopack", "webpack"]) {
  test(`Next.js with ${bundler}`, async (t) => {
    const folder = `.next/${bundler}`;
    const env = { SIDEKEY_NEXT_FOLDER: folder, NODE_ENV: "production" };
    // What an earlier build has cached is of an earlier package.
    await rm(join(cwd, folder), { recursive: true, force: true });
    await node([NEXT, "build", `--${bundler}`], { cwd, env });
    const server = await start(process.execPath, [NEXT, "start", "--port", "0", "--hostname", "127.0.0.1"], /http:\/\/127\.0\.0\.1:(\d+)/, { cwd, env });
    try {
      const query = `?questions=${encodeURIComponent(JSON.stringify(questions))}`;
      await t.test("server component, and client component rendered on the server", async () => {
        const html = await text(await fetch(`${server.origin}/${query}`));
        assert.deepEqual(rendered(html, "server"), answers);
        assert.deepEqual(rendered(html, "client"), answers);
      });
      await t.test("client component in the browser", async () => {
        assert.deepEqual(await ask(browser, `${server.origin}/${query}`, questions), { answer: answers, complaints: [] });
      });
      await t.test("server component on the edge runtime", async () => {
        const html = await text(await fetch(`${server.origin}/edge${query}`));
        assert.deepEqual(rendered(html, "server"), answers);
      });
      await t.test("route handler", async () => {
        const body = await text(await fetch(`${server.origin}/node`, { method: "POST", body: JSON.stringify(questions) }));
        assert.deepEqual(JSON.parse(body), answers);
      });
      /** @param {Response} response */
      async function text(response) {
        assert.equal(response.status, 200, server.output.stderr);
        return response.text();
      }
    } finally {
      await server.stop();
    }
  });
}

/** @param {string} html @param {string} id */
function rendered(html, id) {
  const [, text] = new RegExp(`<pre id="${id}">([^<]*)</pre>`).exec(html) ?? assert.fail(`no element #${id} in ${html}`);
  const entities = { "&quot;": '"', "&#x27;": "'", "&amp;": "&", "&lt;": "<", "&gt;": ">" };
  return JSON.parse((text ?? "").replace(/&[^;]+;/g, (entity) => entities[/** @type {keyof typeof entities} */ (entity)]));
}
