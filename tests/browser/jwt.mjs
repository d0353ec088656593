// Access tokens, judged by PyJWT (verify_jwt.py).

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const python = process.env["SIDEKEY_PYTHON"] ?? "python3";

/**
 * Header and claims of a token of the demo application, or an error with PyJWT's reason.
 * @param {string} token
 * @param {import("./server.mjs").Server} server
 * @param {string} [audience]
 * @returns {Promise<{ header: Record<string, unknown>, claims: Record<string, any> }>}
 */
export async function verify(token, server, audience = "demo") {
  const script = fileURLToPath(new URL("verify_jwt.py", import.meta.url));
  const keySet = `${server.origin}/.well-known/jwks.json`;
  const child = spawn(python, [script, keySet, audience, server.origin, String(await server.now())], {
    env: { ...process.env, no_proxy: "127.0.0.1", PYTHONDONTWRITEBYTECODE: "1" },
  });
  let [out, err] = ["", ""];
  child.stdout.on("data", (data) => (out += data));
  child.stderr.on("data", (data) => (err += data));
  child.stdin.end(token);
  const [status] = await once(child, "close");
  if (status !== 0) throw new Error(`PyJWT refuses the token: ${err}`);
  return JSON.parse(out);
}
