// A small web server of the tests' own: pages given as text, the package's files as they are, and Sidekey's strict policy.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, normalize } from "node:path";

const PACKAGE = new URL("../../wasm/npm/", import.meta.url);

/** What Sidekey's own pages send. */
export const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const TYPES = /** @type {Record<string, string>} */ ({
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".wasm": "application/wasm",
  ".json": "application/json",
});

/** @typedef {{ status?: number, body: unknown, headers?: Record<string, string> }} Answer */
/** @typedef {(request: { body: any, headers: import("node:http").IncomingHttpHeaders }) => Answer | Promise<Answer>} Endpoint */

export class Site {
  origin = "";
  policy = POLICY;
  /** Text of a page or script by its path. @type {Record<string, string>} */ pages = {};
  /** By method and path, as `POST /2fa/setup/`. @type {Record<string, Endpoint>} */ endpoints = {};
  /** What forms have sent. @type {{ path: string, fields: Record<string, string> }[]} */ posted = [];
  #server = createServer((request, response) => {
    this.#answer(request, response).catch((error) => response.writeHead(500).end(String(error)));
  });

  static async start() {
    const site = new Site();
    site.#server.listen(0, "127.0.0.1");
    await once(site.#server, "listening");
    const address = /** @type {import("node:net").AddressInfo} */ (site.#server.address());
    site.origin = `http://127.0.0.1:${address.port}`;
    return site;
  }

  async stop() {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  /** @param {import("node:http").IncomingMessage} request @param {import("node:http").ServerResponse} response */
  async #answer(request, response) {
    const path = new URL(request.url ?? "/", this.origin).pathname;
    response.setHeader("Content-Security-Policy", this.policy);
    response.setHeader("Cache-Control", "no-store");
    const endpoint = this.endpoints[`${request.method} ${path}`];
    const sent = Buffer.concat(await request.toArray()).toString();
    if (endpoint) {
      const { status = 200, body, headers = {} } = await endpoint({ body: sent ? JSON.parse(sent) : null, headers: request.headers });
      response.writeHead(status, { "Content-Type": status < 400 ? "application/json" : "application/problem+json", ...headers });
      return response.end(JSON.stringify(body));
    }
    if (request.method === "POST") this.posted.push({ path, fields: Object.fromEntries(new URLSearchParams(sent)) });
    const page = this.pages[path] ?? (path.startsWith("/package/") ? await packageFile(path.slice("/package/".length)) : null);
    response.writeHead(page === null ? 404 : 200, { "Content-Type": TYPES[extname(path)] ?? TYPES[".html"] });
    return response.end(page);
  }
}

/** @param {string} name */
async function packageFile(name) {
  const path = normalize(name);
  if (path.startsWith("..")) return null;
  return readFile(new URL(path, PACKAGE)).catch(() => null);
}
