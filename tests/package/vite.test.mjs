// Vite, without any plugin: what it builds, what its development server gives, and what it renders on a server.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { build, createServer } from "vite";

import { launch } from "../browser/browser.mjs";
import { HERE, node } from "./process.mjs";
import { answers, questions } from "./questions.mjs";
import { POLICY, ask, inFolder, serve } from "./site.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => void (browser = await launch()));
after(() => browser.close());

const root = join(HERE, "fixtures/vite");
const EXPECTED = { answer: { page: answers, worker: answers, slim: answers.codes }, complaints: [] };

test("what Vite builds", () =>
  inFolder(async (outDir) => {
    await build({ root, configFile: false, logLevel: "error", build: { outDir } });
    // The slim entry fetches its module; that is what it is for.
    const site = await serve({ "/": outDir }, POLICY.replace("connect-src 'none'", "connect-src 'self'"));
    try {
      assert.deepEqual(await ask(browser, site.origin, questions), EXPECTED);
    } finally {
      await site.stop();
    }
  }));

for (const [name, optimizeDeps] of /** @type {const} */ ([["bundling packages first", {}], ["as they are", { noDiscovery: true }]])) {
  test(`Vite's development server, ${name}`, () =>
    // A cache elsewhere: Vite takes a package of the same version for the same package.
    inFolder(async (cacheDir) => {
      const server = await createServer({ root, cacheDir, optimizeDeps, configFile: false, logLevel: "error", server: { port: 0, host: "127.0.0.1", fs: { allow: [HERE] } } });
      await server.listen();
      const { port } = /** @type {import("node:net").AddressInfo} */ (server.httpServer?.address());
      try {
        assert.deepEqual(await ask(browser, `http://127.0.0.1:${port}`, questions), EXPECTED);
      } finally {
        await server.close();
      }
    }));
}

for (const [place, ssr] of /** @type {const} */ ([["inside", { noExternal: true }], ["beside it", {}]])) {
  test(`what Vite builds for a server, the package ${place}`, () =>
    inFolder(async (folder) => {
      // Packages that stay outside are looked for above the program.
      const outDir = place === "inside" ? folder : join(HERE, "node_modules/.sidekey-ssr");
      const input = join(HERE, "fixtures/node/import.mjs");
      const rollupOptions = { input, output: { entryFileNames: "server.mjs" } };
      await build({ root, configFile: false, logLevel: "error", ssr, build: { ssr: true, outDir, emptyOutDir: true, rollupOptions } });
      const { stdout, stderr } = await node([join(outDir, "server.mjs")], { input: JSON.stringify(questions) });
      assert.deepEqual({ answer: JSON.parse(stdout), stderr }, { answer: answers, stderr: "" });
    }));
}
