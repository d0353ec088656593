// A server of the test's own: the release binary in development mode, on a free port, with a new data folder.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const binary = process.env["SIDEKEY_BIN"] ?? new URL("../../target/release/sidekey", import.meta.url).pathname;

/** What configures Sidekey in the environment of whoever runs the tests is not for their servers. */
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(SIDEKEY_|RUST_LOG$|CREDENTIALS_DIRECTORY$)/.test(name)));

/** After this long a start or a stop hangs. */
const PATIENCE_MS = 60_000;

/** A running server. */
export class Server {
  /** @type {string} */ origin = "";
  /** @type {string[]} */ log = [];
  #folder = "";
  /** @type {import("node:child_process").ChildProcess | undefined} */ #child;

  static async start() {
    const server = new Server();
    server.#folder = await mkdtemp(join(tmpdir(), "sidekey-browser-"));
    const data = join(server.#folder, "data");
    const child = spawn(binary, ["serve", "--development", "--listen", "127.0.0.1:0", "--log", "json", "--data", data], {
      stdio: ["ignore", "ignore", "pipe"],
      env: environment,
    });
    server.#child = child;
    const ended = once(child, "exit");
    /** @type {Promise<string>} */
    const listening = new Promise((resolve) => {
      createInterface({ input: child.stderr }).on("line", (line) => {
        server.log.push(line);
        const address = listeningAddress(line);
        if (address) resolve(address);
      });
    });
    const address = await within(Promise.race([listening, ended.then(() => null)]), child, "start");
    if (!address) throw new Error(`the server ended at its start:\n${server.log.join("\n")}`);
    server.origin = `http://${address}`;
    return server;
  }

  async stop() {
    const child = this.#child;
    if (child && child.exitCode === null) {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await within(ended, child, "stop");
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** The API key of the demo application. */
  async demoKey() {
    return (await readFile(join(this.#folder, "data", "development-api-key"), "utf8")).trim();
  }

  /** Runs `sidekey <args>` on this server, and gives what it answers. @param {string[]} args */
  async command(...args) {
    const all = [...args, "--data", join(this.#folder, "data"), "--json"];
    const { stdout } = await promisify(execFile)(binary, all, { env: environment, timeout: PATIENCE_MS });
    return JSON.parse(stdout);
  }

  /** The server's time in Unix seconds. */
  async now() {
    return this.#clock({});
  }

  /** Moves the server's clock. @param {number} seconds */
  async advance(seconds) {
    return this.#clock({ method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ advance_seconds: seconds }) });
  }

  /** @param {RequestInit} request */
  async #clock(request) {
    const answer = await fetch(`${this.origin}/development/clock/`, request);
    if (!answer.ok) throw new Error(`the development clock answered ${answer.status}`);
    const { now } = /** @type {{ now: string }} */ (await answer.json());
    return Math.floor(Date.parse(now) / 1000);
  }
}

/**
 * What comes of waiting for a server, which is killed if that takes too long.
 *
 * @template T
 * @param {Promise<T>} event @param {import("node:child_process").ChildProcess} child @param {string} what
 * @returns {Promise<T>}
 */
async function within(event, child, what) {
  /** @type {NodeJS.Timeout | undefined} */ let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`the server did not ${what} within ${PATIENCE_MS} ms`));
    }, PATIENCE_MS);
  });
  try {
    return await Promise.race([event, /** @type {Promise<never>} */ (late)]);
  } finally {
    clearTimeout(timer);
  }
}

/** @param {string} line */
function listeningAddress(line) {
  try {
    const entry = JSON.parse(line);
    const event = entry.fields ?? entry;
    return event.message === "listening" ? String(event.address) : null;
  } catch {
    return null;
  }
}
