// A person with an authenticator app: `zbarimg` reads the QR code from a picture, `oathtool` computes the codes. Neither
// shares a line with Sidekey.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);
const PERIOD_S = 30;

/** The text of the only QR code in a picture. @param {string} picture path of a PNG file */
export async function scan(picture) {
  const { stdout } = await run("zbarimg", ["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", picture]);
  const found = stdout.trim().split("\n");
  if (found.length !== 1 || !found[0]) throw new Error(`${found.length} QR codes in ${picture}`);
  return found[0];
}

/** An app that was given a key URI. */
export class Authenticator {
  /** @param {string} uri @param {import("./server.mjs").Server} server whose clock counts */
  constructor(uri, server) {
    const url = new URL(uri);
    this.uri = uri;
    this.label = decodeURIComponent(url.pathname.replace(/^\/+/, ""));
    this.secret = url.searchParams.get("secret") ?? "";
    this.issuer = url.searchParams.get("issuer");
    this.server = server;
    this.usedStep = 0;
  }

  /** A code that was never used; the server's clock moves on where the current one was. */
  async freshCode() {
    let now = await this.server.now();
    const next = (this.usedStep + 1) * PERIOD_S;
    if (now < next) now = await this.server.advance(next - now);
    this.usedStep = Math.floor(now / PERIOD_S);
    return this.codeAt(now);
  }

  /** The code of the step that was used last. */
  usedCode() {
    return this.codeAt(this.usedStep * PERIOD_S);
  }

  /** Six digits that no step near now has. */
  async wrongCode() {
    const now = await this.server.now();
    const near = await Promise.all([-3, -2, -1, 0, 1, 2, 3].map((steps) => this.codeAt(now + steps * PERIOD_S)));
    const wrong = Array.from({ length: near.length + 1 }, (_, n) => String(123_456 + n)).find((code) => !near.includes(code));
    if (!wrong) throw new Error("eight codes, seven of them taken");
    return wrong;
  }

  /** @param {number} time in Unix seconds */
  async codeAt(time) {
    const { stdout } = await run("oathtool", ["--totp", "--base32", "--now", `@${time}`, this.secret]);
    return stdout.trim();
  }
}
