// What docs/integration.md shows of testing an application, run as it stands there: curl with oathtool, Python with PyOTP, and the package.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";

import { Server } from "../browser/server.mjs";
import { application } from "../wasm/module.mjs";
import { place } from "./application.mjs";

const run = promisify(execFile);
const PATIENCE_MS = 60_000;

/** The code of the section's block in this language. @param {string} language */
async function block(language) {
  const page = await readFile(new URL("../../docs/integration.md", import.meta.url), "utf8");
  const section = page.split(/^## /m).find((part) => part.startsWith("Testing your application\n")) ?? "";
  const found = Array.from(section.matchAll(/^```(\w+)\n([^]*?)^```$/gm)).filter(([, name]) => name === language);
  assert.equal(found.length, 1, `one block in ${language}`);
  return found[0]?.[2] ?? "";
}

describe("testing an application", () => {
  /** @type {Server} */ let sidekey;
  /** @type {{ env: NodeJS.ProcessEnv, cwd: string, timeout: number }} */ let options;

  before(async () => {
    sidekey = await Server.start();
    const { PATH } = process.env;
    const env = { PATH, SIDEKEY: sidekey.origin, KEY: await sidekey.demoKey() };
    options = { env, cwd: application, timeout: PATIENCE_MS };
  });
  after(() => sidekey?.stop());

  test("with curl and oathtool", async () => {
    const { stdout } = await run("bash", ["-euo", "pipefail", "-c", await block("bash")], options);
    assert.match(stdout, /"now":[^]*2FA_REQUIRED\n$/);
  });

  test("with Python and PyOTP", async () => {
    await run(place("SIDEKEY_EXAMPLES_PYTHON"), ["-c", await block("python")], options);
  });

  test("with JavaScript and the package", async () => {
    const file = join(application, "example.mjs");
    await writeFile(file, await block("js"));
    await run(process.execPath, [file], options);
  });
});
