// The types as applications compile against them, with a compiler of today and one of two years ago.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";

import { HERE } from "./process.mjs";
import { inFolder } from "./site.mjs";

const require = createRequire(import.meta.url);
const COMPILERS = [createRequire(join(HERE, "../package.json")), require].map((from) => from.resolve("typescript/package.json"));
const RESOLUTIONS = [
  { module: "node16", moduleResolution: "node16" },
  { module: "nodenext", moduleResolution: "nodenext" },
  { module: "esnext", moduleResolution: "bundler" },
];

for (const manifest of COMPILERS) {
  const { version } = require(manifest);
  for (const resolution of RESOLUTIONS) {
    test(`TypeScript ${version}, ${resolution.moduleResolution}`, () =>
      inFolder(async (folder) => {
        const compilerOptions = {
          ...resolution,
          target: "es2022",
          lib: ["es2022", "dom"],
          types: [],
          noEmit: true,
          strict: true,
          exactOptionalPropertyTypes: true,
          noUncheckedIndexedAccess: true,
          verbatimModuleSyntax: true,
          // One compiler looks at the declarations themselves, with those of the DOM, which takes long.
          skipLibCheck: manifest !== COMPILERS[0],
        };
        const project = join(folder, "tsconfig.json");
        await writeFile(project, JSON.stringify({ compilerOptions, files: [join(HERE, "fixtures/types/app.ts")] }));
        assert.equal(await compile(join(manifest, "../bin/tsc"), project), "");
      }));
  }
}

/** What the compiler complains about. @param {string} compiler @param {string} project @returns {Promise<string>} */
function compile(compiler, project) {
  return new Promise((resolve) => {
    execFile(process.execPath, [compiler, "--project", project], { cwd: HERE }, (error, stdout, stderr) => {
      resolve(`${stdout}${stderr}${error && !stdout ? error.message : ""}`);
    });
  });
}
