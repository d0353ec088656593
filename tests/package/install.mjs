// Installs the packed tarball as a user would, and puts what npm made of it beside the toolchains.
//
// node tests/package/install.mjs [tarball | folder]     the newest of a folder, target/package without an argument

import { execFileSync } from "node:child_process";
import { cp, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const TARGET = fileURLToPath(new URL("../../target/package", import.meta.url));
const PLACE = fileURLToPath(new URL("node_modules/sidekey", import.meta.url));

const given = resolve(process.argv[2] ?? TARGET);
const tarball = given.endsWith(".tgz") ? given : await newest(given);
const consumer = await mkdtemp(join(tmpdir(), "sidekey-install-"));
try {
  await writeFile(join(consumer, "package.json"), JSON.stringify({ name: "consumer", private: true }));
  // Offline: a package without dependencies has nothing to fetch.
  execFileSync("npm", ["install", "--offline", "--no-audit", "--no-fund", tarball], { cwd: consumer, stdio: ["ignore", "ignore", "inherit"] });
  const installed = (await readdir(join(consumer, "node_modules"))).filter((name) => !name.startsWith("."));
  if (installed.join() !== "sidekey") throw new Error(`installing it brought other packages along: ${installed.join(", ")}`);
  await rm(PLACE, { recursive: true, force: true });
  await cp(join(consumer, "node_modules", "sidekey"), PLACE, { recursive: true });
  const { version } = JSON.parse(await readFile(join(PLACE, "package.json"), "utf8"));
  // For the tests that read the tarball itself.
  await cp(tarball, `${PLACE}.tgz`);
  console.log(`installed sidekey ${version}`);
} finally {
  await rm(consumer, { recursive: true, force: true });
}

/** @param {string} folder */
async function newest(folder) {
  const names = await readdir(folder).catch(() => []);
  const tarballs = await Promise.all(
    names.filter((name) => name.endsWith(".tgz")).map(async (name) => ({ path: join(folder, name), made: (await stat(join(folder, name))).mtimeMs })),
  );
  const [latest] = tarballs.sort((a, b) => b.made - a.made);
  if (!latest) throw new Error(`no tarball in ${folder}: run \`cargo xtask package\` first`);
  return latest.path;
}
