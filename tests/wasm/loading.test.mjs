// How the core comes to life, and what is said where it cannot.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { application, folder } from "./module.mjs";

/** Runs a script as the application would, and gives what it printed. @param {string} script @param {...string} flags */
function run(script, ...flags) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, "--eval", script], { cwd: application, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return stdout.trim();
}

test("it is an ES module and `require` gets it too", () => {
  assert.equal(run('import { normalizeCode } from "sidekey"; console.log(normalizeCode("12 3"))', "--input-type=module"), "123");
  assert.equal(run('console.log(require("sidekey").normalizeCode("12 3"))', "--input-type=commonjs", "--no-warnings"), "123");
});

test("where WebAssembly is forbidden, the error says what to change", () => {
  // What a browser throws under `script-src 'self'`, in three spellings.
  const refusals = [
    "Refused to compile or instantiate WebAssembly module because 'unsafe-eval' is not an allowed source of script",
    "call to WebAssembly.Module() blocked by CSP",
    "Wasm code generation disallowed by embedder",
  ];
  for (const refusal of refusals) {
    const script = `
      WebAssembly.Module = class { constructor() { throw new WebAssembly.CompileError(${JSON.stringify(refusal)}) } };
      const { OtpError, generateSecret } = await import("sidekey");
      try { generateSecret() } catch (error) { console.log(error instanceof OtpError, error.code, error.cause.message) }`;
    assert.equal(run(script, "--input-type=module"), `true WASM_BLOCKED_BY_CSP ${refusal}`);
  }
});

test("where there is no WebAssembly, another error says so", () => {
  const script = `
    delete globalThis.WebAssembly;
    const { generateSecret, ready } = await import("sidekey");
    try { generateSecret() } catch (error) { console.log(error.code) }
    await ready().catch((error) => console.log(error.code));`;
  assert.equal(run(script, "--input-type=module"), "WASM_UNAVAILABLE\nWASM_UNAVAILABLE");
});

test("slim takes the bytes in any form, and nothing before them", () => {
  const file = JSON.stringify(join(folder, "generated", "core.wasm"));
  const sources = [
    "bytes",
    "new WebAssembly.Module(bytes)",
    'new Response(bytes, { headers: { "content-type": "application/wasm" } })',
    "Promise.resolve(new Response(bytes))",
  ];
  for (const source of sources) {
    const script = `
      import { readFileSync } from "node:fs";
      import { generateSecret, normalizeCode, ready } from "sidekey/slim";
      const bytes = readFileSync(${file});
      for (const call of [() => ready(), () => normalizeCode("1")]) try { await call() } catch (error) { console.log(error.code) }
      await ready(${source});
      await ready(${source});
      console.log(generateSecret().length);`;
    assert.equal(run(script, "--input-type=module"), "NOT_READY\nNOT_READY\n32", source);
  }
  const failed = 'import { ready } from "sidekey/slim"; await ready(new Response("", { status: 404 })).catch((error) => console.log(error.code, error.message))';
  assert.match(run(failed, "--input-type=module"), /^WASM_UNAVAILABLE .*404/);
});

test("the inlined bytes are those of core.wasm", async () => {
  const { bytes, size, unpacker } = await import(join(folder, "generated", "bytes.js"));
  const { unpack } = await import(join(folder, "unpack.js"));
  assert.deepEqual(Buffer.from(unpack(unpacker, bytes, size)), readFileSync(join(folder, "generated", "core.wasm")));
});
