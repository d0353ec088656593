// A static server with a policy of its own, and a browser that asks the page there.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";

/** The least that WebAssembly needs; the package fetches nothing. The image is the page's empty icon. */
export const POLICY = "default-src 'none'; img-src data:; script-src 'self' 'wasm-unsafe-eval'; connect-src 'none'; worker-src 'self'";

/** The same where text cannot become markup or a script's address, as of a worker. */
export const TRUSTED_TYPES = `${POLICY}; require-trusted-types-for 'script'`;

const ANSWER_MS = 60_000;

/** @type {Record<string, string>} */
const MEDIA_TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".wasm": "application/wasm",
};

/** The page around a bundle. */
export const PAGE = `<!doctype html><html lang="en"><title>fixture</title><link rel="icon" href="data:,"><script type="module" src="bundle.js"></script></html>`;

/**
 * Serves folders, the first that has a file winning.
 *
 * @param {Record<string, string>} folders by the prefix of their path, as `/`
 * @param {string} [policy]
 */
export async function serve(folders, policy = POLICY) {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    for (const [prefix, folder] of Object.entries(folders)) {
      if (!path.startsWith(prefix)) continue;
      const name = normalize(path.slice(prefix.length)) === "." ? "index.html" : normalize(path.slice(prefix.length));
      const body = await readFile(join(folder, name)).catch(() => undefined);
      if (!body) continue;
      response.writeHead(200, { "content-type": MEDIA_TYPES[extname(name)] ?? "application/octet-stream", "content-security-policy": policy });
      response.end(body);
      return;
    }
    response.writeHead(404).end();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const address = /** @type {import("node:net").AddressInfo} */ (server.address());
  return {
    origin: `http://127.0.0.1:${address.port}`,
    stop: () => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))),
  };
}

/**
 * Opens a page and gives what a global function of it gives, once it has one.
 *
 * @param {import("playwright-core").Browser} browser @param {string} url @param {unknown} question
 */
export async function ask(browser, url, question, name = "answer") {
  const page = await browser.newPage();
  try {
    /** @type {string[]} */
    const complaints = [];
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.stack || error.message));
    await page.goto(url);
    await page.waitForFunction((name) => name in globalThis, name, { timeout: ANSWER_MS }).catch((cause) => {
      throw new Error(`${url} has no function \`${name}\`: ${complaints.join("\n")}`, { cause });
    });
    // A rejection of the page arrives here as a rejection.
    const answer = page.evaluate(([name, question]) => /** @type {any} */ (globalThis)[name](question), /** @type {const} */ ([name, question]));
    return { answer: await inTime(answer), complaints };
  } finally {
    await page.close();
  }
}

/** A page that hangs would keep its test waiting for ever. @template T @param {Promise<T>} answer @returns {Promise<T>} */
async function inTime(answer) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer from the page within ${ANSWER_MS / 1000} s`)), ANSWER_MS);
  });
  try {
    return await Promise.race([answer, /** @type {Promise<never>} */ (late)]);
  } finally {
    clearTimeout(timer);
  }
}

/** A temporary folder, and the end of it. @param {(folder: string) => Promise<void>} use */
export async function inFolder(use) {
  const folder = await mkdtemp(join(tmpdir(), "sidekey-package-"));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
