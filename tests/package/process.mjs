// Other programs: run to their end, or started until they say where they listen.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** The folder of these tests, whose node_modules hold the toolchains and the installed package. */
export const HERE = fileURLToPath(new URL(".", import.meta.url));

/** The colours, questions and reports home of the toolchains are of no use here. */
const ENVIRONMENT = { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined, NODE_OPTIONS: undefined, CI: "1", NEXT_TELEMETRY_DISABLED: "1" };

/** After this long something hangs: a build of Next.js takes half a minute. */
export const PATIENCE_MS = 240_000;

/**
 * Runs Node.js and gives what it printed.
 *
 * @param {string[]} args
 * @param {{ cwd?: string, input?: string, env?: Record<string, string> }} [options]
 */
export async function node(args, { cwd = HERE, input = "", env = {} } = {}) {
  const child = spawn(process.execPath, args, { cwd, env: { ...ENVIRONMENT, ...env }, stdio: "pipe", timeout: PATIENCE_MS, killSignal: "SIGKILL" });
  const output = gather(child);
  child.stdin.end(input);
  const [status, signal] = await once(child, "close");
  if (status !== 0) throw new Error(`node ${args.join(" ")} ended with ${status ?? signal}:\n${output.stdout}${output.stderr}`);
  return output;
}

/**
 * Starts a server and waits until its output matches; the first group is its port.
 *
 * @param {string} program @param {string[]} args @param {RegExp} pattern
 * @param {{ cwd?: string, env?: Record<string, string> }} [options]
 */
export async function start(program, args, pattern, { cwd = HERE, env = {} } = {}) {
  const child = spawn(program, args, { cwd, env: { ...ENVIRONMENT, ...env }, stdio: "pipe", timeout: PATIENCE_MS });
  const output = gather(child);
  const ended = once(child, "close");
  const port = await new Promise((resolve, reject) => {
    const look = () => {
      const found = pattern.exec(output.stdout + output.stderr);
      if (found) resolve(Number(found[1]));
    };
    child.stdout.on("data", look);
    child.stderr.on("data", look);
    ended.then(([status]) => reject(new Error(`${program} ended with ${status}:\n${output.stdout}${output.stderr}`)), reject);
  });
  return {
    origin: `http://127.0.0.1:${port}`,
    output,
    async stop() {
      child.kill();
      await ended;
    },
  };
}

/** @param {import("node:child_process").ChildProcessWithoutNullStreams} child */
function gather(child) {
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (output.stderr += text));
  return output;
}
