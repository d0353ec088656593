// A server of the test's own: the release binary in development mode, on a free port, with a new data folder.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const binary = process.env["SIDEKEY_BIN"] ?? new URL("../../target/release/sidekey", import.meta.url).pathname;

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
    const address = await Promise.race([listening, ended.then(() => null)]);
    if (!address) throw new Error(`the server ended at its start:\n${server.log.join("\n")}`);
    server.origin = `http://${address}`;
    return server;
  }

  async stop() {
    const child = this.#child;
    if (child && child.exitCode === null) {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    }
    await rm(this.#folder, { recursive: true });
  }

  /** The API key of the demo application. */
  async demoKey() {
    return (await readFile(join(this.#folder, "data", "development-api-key"), "utf8")).trim();
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
