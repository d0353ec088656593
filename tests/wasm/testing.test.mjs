// The package's virtual authenticator, under a clock that only moves when it waits.

import assert from "node:assert/strict";
import { test } from "node:test";

import { matrixOfPath, readQr } from "../../wasm/npm/elements/read-qr.js";
import { developmentServer, virtualAuthenticator } from "../../wasm/npm/testing/index.js";
import { qrMatrix, qrSvg } from "../../wasm/npm/index.js";
import { vectors } from "./module.mjs";

// The key of RFC 6238, appendix B, in base32; its codes have eight digits there, of which an app shows the last six.
const SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const URI = `otpauth://totp/Example:ann@example.com?secret=${SECRET}&issuer=Example&algorithm=SHA1&digits=6&period=30`;

/** A clock that moves when somebody waits, and not by more than it is told. @param {number} start */
function clock(start) {
  let at = start;
  /** @type {number[]} */
  const waits = [];
  const sleep = async (/** @type {number} */ ms) => {
    assert.ok(ms > 0, "nobody waits for nothing");
    waits.push(ms);
    at += ms;
  };
  return { now: () => at, sleep, waits, set: (/** @type {number} */ ms) => (at = ms) };
}

test("codes are those of RFC 6238", async () => {
  const app = await virtualAuthenticator(URI);
  for (const { seconds, code } of [
    { seconds: 59, code: "94287082" },
    { seconds: 1111111109, code: "07081804" },
    { seconds: 20000000000, code: "65353130" },
  ]) {
    assert.equal(app.codeAt(seconds * 1000), code.slice(2));
  }
  assert.deepEqual([app.issuer, app.account, app.digits, app.period, app.algorithm], ["Example", "ann@example.com", 6, 30, "SHA1"]);
});

test("no code is given twice: the next one is waited for", async () => {
  const time = clock(1_000_000_005_000);
  const app = await virtualAuthenticator(URI, time);
  assert.equal(await app.code(), app.codeAt(1_000_000_005_000));
  assert.equal(await app.remainingMs(), 15_000);
  assert.equal(await app.code(), app.codeAt(1_000_000_020_000));
  assert.deepEqual(time.waits, [15_000]);
});

test("callers at the same time get different codes", async () => {
  const time = clock(0);
  const app = await virtualAuthenticator(URI, time);
  const codes = await Promise.all([app.code(), app.code(), app.code()]);
  assert.deepEqual(codes, [0, 30_000, 60_000].map(app.codeAt));
});

test("a code about to end is not given", async () => {
  const time = clock(29_500);
  const app = await virtualAuthenticator(URI, time);
  assert.equal(await app.code(), app.codeAt(30_000));
  time.set(88_000);
  assert.equal(await app.code(), app.codeAt(60_000), "two seconds are enough");
  await assert.rejects(virtualAuthenticator(URI, { marginMs: 30_000 }), RangeError);
});

test("a timer that fires early is no harm", async () => {
  let at = 10_000;
  const app = await virtualAuthenticator(URI, { now: async () => at, sleep: (ms) => (at += Math.ceil(ms / 2)) });
  await app.code();
  assert.equal(await app.code(), app.codeAt(30_000));
  assert.equal(at, 30_000, "neither before nor after the boundary");
});

test("a clock that is set back gives no code again", async () => {
  const time = clock(100_000);
  const app = await virtualAuthenticator(URI, time);
  await app.code();
  time.set(40_000);
  assert.equal(await app.code(), app.codeAt(120_000));
});

test("a pair is of consecutive steps, and both are used", async () => {
  const time = clock(0);
  const app = await virtualAuthenticator(URI, time);
  assert.deepEqual(await app.codePair(), { code: app.codeAt(0), next_code: app.codeAt(30_000) });
  assert.equal(await app.code(), app.codeAt(60_000));
});

test("the key comes from a URI, a secret or a QR code in any shape", async () => {
  const svg = qrSvg(URI);
  const modules = qrMatrix(URI);
  const apple = URI.replace("otpauth:", "apple-otpauth:");
  for (const source of [URI, apple, SECRET, `${SECRET.slice(0, 4)} ${SECRET.slice(4).toLowerCase()}`, svg, modules]) {
    assert.equal((await virtualAuthenticator(source)).secret, SECRET);
  }
  const decode = (/** @type {Uint8Array} */ bytes, /** @type {number | undefined} */ width) => {
    assert.deepEqual([...bytes], [137, 80, 78, 71]);
    return width === undefined ? URI : { data: URI };
  };
  const bytes = Uint8Array.of(137, 80, 78, 71);
  for (const source of [bytes, "data:image/png;base64,iVBORw==", { data: Uint8ClampedArray.from(bytes), width: 1, height: 1 }]) {
    assert.equal((await virtualAuthenticator(source, { decode })).secret, SECRET);
    await assert.rejects(virtualAuthenticator(source), /needs the option `decode`/);
    await assert.rejects(virtualAuthenticator(source, { decode: () => null }), /found no QR code/);
  }
});

test("what holds no key is refused", async () => {
  await assert.rejects(virtualAuthenticator("otpauth://hotp/x?secret=GEZDGNBVGY3TQOJQ&counter=1"));
  await assert.rejects(virtualAuthenticator("not base32!"));
  await assert.rejects(virtualAuthenticator("<svg viewBox='0 0 10 10'></svg>"), /no intact QR code/);
});

test("every QR code that the core draws can be read back", async () => {
  for (const { name, text } of (await vectors("qr")).vectors) {
    assert.equal(readQr(qrMatrix(text)), text, name);
    const [, viewBox = "", path = ""] = /viewBox="([^"]*)".* d="([^"]*)"/.exec(qrSvg(text)) ?? [];
    assert.deepEqual(matrixOfPath(viewBox, path), qrMatrix(text), name);
  }
  for (const [level, longest] of /** @type {const} */ ([["L", 2953], ["M", 2331], ["Q", 1663], ["H", 1273]])) {
    for (let length = 1; length <= longest; length += 61) {
      const text = "x".repeat(length);
      assert.equal(readQr(qrMatrix(text, { level })), text, `level ${level}, ${length} bytes`);
    }
  }
});

test("a damaged symbol is not read as if it were whole", () => {
  const { size, modules } = qrMatrix(URI);
  let refused = 0;
  modules.forEach((module, at) => {
    const text = readQr({ size, modules: modules.with(at, 1 - module) });
    assert.ok(text === null || text === URI, "never another text");
    if (text === null) refused += 1;
  });
  assert.ok(refused > 0.8 * modules.length, `all but finders and timing count, not only ${refused}`);
  assert.equal(readQr({ size, modules: modules.subarray(1) }), null);
  assert.equal(readQr({ size, modules: new Uint8Array(size * size) }), null);
  assert.equal(matrixOfPath("0 0 29 29", "M4 4h999v1h-999z"), null);
  assert.equal(matrixOfPath("0 0 29 29", "M4 4h1v1h-1zL9 9"), null);
});

test("a development server seeds and is waited for by moving its clock", async () => {
  /** @type {{ url: string, method: string, authorization: string | undefined, body: any }[]} */
  const seen = [];
  let seconds = 100;
  const user = { user_id: "ann", persona: null, devices: [{ provisioning_uri: URI }] };
  /** @type {typeof globalThis.fetch} */
  const fetch = async (input, init) => {
    const body = init?.body ? JSON.parse(String(init.body)) : undefined;
    const headers = /** @type {Record<string, string>} */ (init?.headers ?? {});
    seen.push({ url: String(input), method: init?.method ?? "GET", authorization: headers["Authorization"], body });
    if (String(input).endsWith("/seed/")) return Response.json({ app_id: "shop", seed: 1, users: [user, { user_id: "seed-locked", persona: "locked" }] });
    seconds += body?.advance_seconds ?? 0;
    return Response.json({ now: new Date(seconds * 1000).toISOString() });
  };
  const server = developmentServer("https://auth.example/api/", { apiKey: "sidekey_k", fetch });
  const { by } = await server.seed({ seed: 7, users: [{ user_id: "ann", devices: [{}] }] });
  assert.deepEqual([by["ann"]?.user_id, by["locked"]?.user_id], ["ann", "seed-locked"]);
  assert.equal(await server.advanceClock(20), 120_000);
  const app = await virtualAuthenticator(by["ann"]?.devices[0]?.provisioning_uri ?? "", server.clock);
  assert.equal(await app.code(), app.codeAt(120_000));
  assert.equal(await app.code(), app.codeAt(150_000), "the next one, without waiting");
  assert.equal(seconds, 150);
  assert.deepEqual(seen[0], {
    url: "https://auth.example/api/development/seed/",
    method: "POST",
    authorization: "Bearer sidekey_k",
    body: { seed: 7, users: [{ user_id: "ann", devices: [{}] }] },
  });
});

test("what a development server refuses is told with the likeliest reason", async () => {
  const answers = [new Response("{}", { status: 404 }), Response.json({ code: "VALIDATION_ERROR", detail: "No." }, { status: 400 })];
  const server = developmentServer("http://127.0.0.1:8080", { fetch: async () => answers.shift() ?? Response.error() });
  await assert.rejects(server.seed(), /404.*--development/);
  await assert.rejects(server.advanceClock(-1), /400 VALIDATION_ERROR No\.$/);
});
