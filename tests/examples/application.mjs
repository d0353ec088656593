// The example applications, started as their READMEs say, from copies of their folders.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";

/** After this long an application hangs. */
const PATIENCE_MS = 60_000;

/** A place of the environment that the task runner names. @param {string} name */
export function place(name) {
  const path = process.env[name];
  if (!path) throw new Error(`${name} is not set: run \`cargo xtask test --only examples\``);
  return path;
}

/** A port that nobody listens on. */
export async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (probe.address());
  probe.close();
  await once(probe, "close");
  return port;
}

/**
 * Runs a program to its end, and gives what it printed.
 *
 * @param {string} program @param {string[]} args @param {{ cwd?: string, env?: Record<string, string> }} options
 */
export async function run(program, args, options) {
  const { child, output } = launch(program, args, options);
  const [status] = await once(child, "close");
  if (status !== 0) throw new Error(`${program} ${args[0]} ended with ${status}:\n${output()}`);
  return output();
}

/**
 * Starts an application and waits until it prints what the pattern describes.
 *
 * @param {string} program @param {string[]} args @param {RegExp} pattern @param {{ cwd?: string, env?: Record<string, string> }} options
 */
export async function start(program, args, pattern, options) {
  const { child, output } = launch(program, args, options);
  const ended = once(child, "close");
  const told = new Promise((resolve) => {
    const look = () => pattern.test(output()) && resolve(true);
    child.stdout.on("data", look);
    child.stderr.on("data", look);
  });
  const up = await Promise.race([told, ended.then(() => false)]);
  if (!up) throw new Error(`${program} ended:\n${output()}`);
  return {
    output,
    async stop() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** @param {string} program @param {string[]} args @param {{ cwd?: string, env?: Record<string, string> }} options */
function launch(program, args, { cwd, env }) {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("SIDEKEY_")));
  const child = spawn(program, args, { cwd, env: { ...clean, ...env }, stdio: ["ignore", "pipe", "pipe"], timeout: PATIENCE_MS, killSignal: "SIGKILL" });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part) => (text += part));
  child.stderr.setEncoding("utf8").on("data", (part) => (text += part));
  return { child, output: () => text };
}
