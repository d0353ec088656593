// The package's client of the HTTP API, against a network that is played.

import assert from "node:assert/strict";
import { test } from "node:test";

import { createClient, SidekeyError } from "../../wasm/npm/client/index.js";

const BASE = "https://auth.example/api";
const TOKENS = { access_token: "a2", refresh_token: "r2", token_type: "Bearer", expires_in: 900 };

/** @typedef {{ method: string, path: string, headers: Record<string, string>, body: any }} Seen */

/**
 * A network that gives these answers one after another, and keeps what it was asked.
 * @param {...(Response | Error)} answers
 */
function network(...answers) {
  /** @type {Seen[]} */
  const seen = [];
  /** @type {typeof globalThis.fetch} */
  const fetch = async (input, init) => {
    assert.ok(String(input).startsWith(BASE), "the base URL leads");
    assert.equal(init?.credentials, "omit");
    assert.equal(init?.redirect, "error");
    seen.push({
      method: init?.method ?? "",
      path: String(input).slice(BASE.length),
      headers: /** @type {Record<string, string>} */ (init?.headers),
      body: typeof init?.body === "string" ? JSON.parse(init.body) : null,
    });
    const answer = answers.shift();
    if (!answer) throw new Error("one request too many");
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return { fetch, seen };
}

/** @param {object} [value] @param {Record<string, string>} [headers] */
const ok = (value = { message: "done" }, headers = {}) => Response.json(value, { headers });

/** @param {number} status @param {object} members @param {Record<string, string>} [headers] */
const problem = (status, members, headers = {}) =>
  new Response(JSON.stringify({ status, ...members }), { status, headers: { "content-type": "application/problem+json", ...headers } });

/** @param {Promise<unknown>} call @returns {Promise<SidekeyError>} */
async function refused(call) {
  const error = await call.then(() => null, (thrown) => thrown);
  assert.ok(error instanceof SidekeyError, `a SidekeyError, not ${error}`);
  return error;
}

/** @typedef {import("../../wasm/npm/client/index.d.ts").SidekeyClient} Client */
/** @type {[string, (client: Client) => Promise<unknown>, string, object | null, "user" | "nobody"][]} */
const endpoints = [
  ["startSetup", (c) => c.startSetup(), "POST /2fa/setup/", {}, "user"],
  ["startSetup with a name", (c) => c.startSetup({ device_name: "Phone", restart: true }), "POST /2fa/setup/", { device_name: "Phone", restart: true }, "user"],
  ["confirmSetup", (c) => c.confirmSetup({ device_id: "d", code: "123456" }), "POST /2fa/setup/confirm/", { device_id: "d", code: "123456" }, "user"],
  ["verify", (c) => c.verify({ session_id: "s", code: "1", next_code: "2" }), "POST /2fa/verify/", { session_id: "s", code: "1", next_code: "2" }, "nobody"],
  ["verifyBackup", (c) => c.verifyBackup({ session_id: "s", backup_code: "b" }), "POST /2fa/verify/backup/", { session_id: "s", backup_code: "b" }, "nobody"],
  ["listDevices", (c) => c.listDevices(), "GET /2fa/devices/", null, "user"],
  ["changeDevice", (c) => c.changeDevice("a/b", { name: "n" }), "PATCH /2fa/devices/a%2Fb/", { name: "n" }, "user"],
  ["removeDevice", (c) => c.removeDevice("d"), "DELETE /2fa/devices/d/", {}, "user"],
  ["disable", (c) => c.disable({ backup_code: "b" }), "POST /2fa/disable/", { backup_code: "b" }, "user"],
  ["backupCodeStatus", (c) => c.backupCodeStatus(), "GET /2fa/backup-codes/", null, "user"],
  ["renewBackupCodes", (c) => c.renewBackupCodes({ code: "1" }), "POST /2fa/backup-codes/regenerate/", { code: "1" }, "user"],
  ["refresh", (c) => c.refresh("r1"), "POST /2fa/token/refresh/", { refresh_token: "r1" }, "nobody"],
  ["revoke", (c) => c.revoke("r1"), "POST /2fa/token/revoke/", { refresh_token: "r1" }, "nobody"],
  ["openStepUp", (c) => c.openStepUp(), "POST /2fa/sessions/", {}, "user"],
  ["openSession", (c) => c.openSession({ user_id: "42" }), "POST /2fa/sessions/", { user_id: "42" }, "user"],
  ["sessionStatus", (c) => c.sessionStatus("s"), "GET /2fa/sessions/s/", null, "user"],
  ["exchangeCode", (c) => c.exchangeCode("c"), "POST /2fa/token/", { code: "c" }, "user"],
  ["linkAccount", (c) => c.linkAccount(), "POST /2fa/account/link/", {}, "user"],
  ["linkAccount of a login", (c) => c.linkAccount({ sid: "s" }), "POST /2fa/account/link/", { sid: "s" }, "user"],
  ["listActivity", (c) => c.listActivity(), "GET /2fa/activity/", null, "user"],
  ["listActivity from a page on", (c) => c.listActivity({ limit: 5, before: "a+b" }), "GET /2fa/activity/?limit=5&before=a%2Bb", null, "user"],
  ["listActivity after the last page", (c) => c.listActivity({ before: null }), "GET /2fa/activity/", null, "user"],
  ["listTrustedBrowsers", (c) => c.listTrustedBrowsers(), "GET /2fa/trusted-browsers/", null, "user"],
  ["forgetBrowser", (c) => c.forgetBrowser("b"), "DELETE /2fa/trusted-browsers/b/", null, "user"],
  ["signOutEverywhere", (c) => c.signOutEverywhere(), "POST /2fa/sign-out/", {}, "user"],
  ["userStatus", (c) => c.userStatus("a/b"), "GET /2fa/users/a%2Fb/", null, "user"],
  ["unlockUser", (c) => c.unlockUser("42"), "POST /2fa/users/42/unlock/", {}, "user"],
  ["eraseUser", (c) => c.eraseUser("42"), "DELETE /2fa/users/42/", null, "user"],
  ["importUsers", (c) => c.importUsers({ users: [], dry_run: true }), "POST /2fa/users/import/", { users: [], dry_run: true }, "user"],
  ["appSettings", (c) => c.appSettings(), "GET /2fa/app/", null, "user"],
  ["changeApp", (c) => c.changeApp({ accent_color: null }), "PATCH /2fa/app/", { accent_color: null }, "user"],
];

for (const [name, call, request, body, caller] of endpoints) {
  test(`${name} is ${request}`, async () => {
    const { fetch, seen } = network(ok());
    assert.deepEqual(await call(createClient({ baseUrl: `${BASE}/`, token: "t1", fetch })), { message: "done" });
    const [sent] = seen;
    assert.ok(sent);
    assert.equal(`${sent.method} ${sent.path}`, request);
    assert.deepEqual(sent.body, body);
    assert.equal(sent.headers["Authorization"], caller === "user" ? "Bearer t1" : undefined);
    assert.equal(sent.headers["Content-Type"], body ? "application/json" : undefined);
  });
}

test("a problem document becomes an error with its members", async () => {
  const { fetch } = network(
    problem(400, { code: "INVALID_CODE", detail: "The code is wrong.", attempts_remaining: 3 }, { "x-request-id": "abc" }),
    problem(429, { code: "ACCOUNT_THROTTLED", detail: "Wait.", retry_after: 30 }, { "retry-after": "30" }),
    problem(400, { code: "VALIDATION_ERROR", detail: "Malformed.", errors: { code: "must have 6 digits" } }),
    problem(401, { code: "2FA_REQUIRED", detail: "A second factor is needed.", max_age: 600 }),
    problem(400, { code: "SESSION_EXPIRED", detail: "Over.", return_url: "https://app.example/after" }),
  );
  const client = createClient({ baseUrl: BASE, token: "t", fetch });
  const answer = { session_id: "s", code: "123456" };

  const wrong = await refused(client.verify(answer));
  assert.equal(wrong.message, "The code is wrong. (INVALID_CODE)");
  assert.deepEqual([wrong.code, wrong.status, wrong.attemptsRemaining, wrong.requestId, wrong.retryAfter], ["INVALID_CODE", 400, 3, "abc", null]);
  assert.equal((await refused(client.verify(answer))).retryAfter, 30);
  assert.deepEqual((await refused(client.verify(answer))).errors, { code: "must have 6 digits" });
  assert.equal((await refused(client.startSetup())).maxAge, 600);
  assert.equal((await refused(client.verify(answer))).returnUrl, "https://app.example/after");
});

test("what is not Sidekey's answer is an error by its status", async () => {
  const page = (/** @type {number} */ status) => new Response("<h1>Bad gateway</h1>", { status });
  const { fetch } = network(page(502), page(429), page(404), page(500), page(200), new TypeError("fetch failed"));
  const client = createClient({ baseUrl: BASE, token: "t", fetch });
  for (const code of ["UNAVAILABLE", "RATE_LIMITED", "NOT_FOUND", "INTERNAL", "INTERNAL", "NETWORK"]) {
    assert.equal((await refused(client.listDevices())).code, code);
  }
});

test("no error holds what was sent", async () => {
  const { fetch } = network(problem(400, { code: "INVALID_CODE", detail: "The code is wrong." }), new TypeError("fetch failed"), new Response("", { status: 502 }));
  const client = createClient({ baseUrl: BASE, token: "token-of-ann", fetch });
  for (let times = 0; times < 3; times += 1) {
    const error = await refused(client.confirmSetup({ device_id: "device-of-ann", code: "987654" }));
    assert.doesNotMatch(`${error.message} ${error.stack} ${JSON.stringify(error)}`, /ann|987654/);
  }
});

test("a token may come from a function, which is asked once more when its token is refused", async () => {
  const expired = () => problem(401, { code: "AUTH_REQUIRED", detail: "No." });
  const { fetch, seen } = network(expired(), ok(), expired());
  /** @type {object[]} */
  const asked = [];
  const client = createClient({
    baseUrl: BASE,
    fetch,
    token: async ({ rejected }) => {
      asked.push({ rejected });
      return rejected ? "new" : "old";
    },
  });
  await client.listDevices();
  assert.deepEqual(seen.map((sent) => sent.headers["Authorization"]), ["Bearer old", "Bearer new"]);
  assert.deepEqual(asked, [{ rejected: undefined }, { rejected: "old" }]);
  assert.equal((await refused(client.listDevices({ token: () => "same" }))).code, "AUTH_REQUIRED");
  assert.equal(seen.length, 3, "the same token is not tried twice");
});

test("without a token nothing is sent where one is needed", async () => {
  const { fetch, seen } = network();
  assert.equal((await refused(createClient({ baseUrl: BASE, fetch }).listDevices())).code, "AUTH_REQUIRED");
  assert.equal(seen.length, 0);
});

test("a lost answer to a refresh is asked for again under the same key", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { fetch, seen } = network(new TypeError("lost"), problem(503, { code: "UNAVAILABLE", detail: "Busy." }), ok(TOKENS));
  const exchange = createClient({ baseUrl: BASE, fetch }).refresh("r1");
  for (let turn = 0; turn < 50; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    t.mock.timers.tick(100);
  }
  assert.deepEqual(await exchange, TOKENS);
  const keys = seen.map((sent) => sent.headers["Idempotency-Key"]);
  assert.equal(keys.length, 3);
  assert.match(keys[0] ?? "", /^[0-9a-f]{32}$/);
  assert.equal(new Set(keys).size, 1);
});

test("a refresh whose answer was lost twice is not sent a third time", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { fetch, seen } = network(new TypeError("lost"), new TypeError("lost"), ok(TOKENS));
  const exchange = refused(createClient({ baseUrl: BASE, fetch }).refresh("r1"));
  for (let turn = 0; turn < 50; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    t.mock.timers.tick(100);
  }
  assert.equal((await exchange).code, "NETWORK");
  assert.equal(seen.length, 2);
});

test("what a host must not do twice is repeated under one key, with the token", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const answer = { session_id: "s" };
  /** @type {[string, string, (client: Client, options?: object) => Promise<unknown>][]} */
  const calls = [
    ["/2fa/sessions/", "user_id", (c, options) => c.openSession({ user_id: "42" }, options)],
    ["/2fa/token/", "code", (c, options) => c.exchangeCode("o", options)],
    ["/2fa/token/spend/", "action", (c, options) => c.spendToken({ action_token: "t", action: "a" }, options)],
  ];
  for (const [path, member, call] of calls) {
    const { fetch, seen } = network(new TypeError("lost"), ok(answer), ok(answer), problem(400, { code: "INVALID_CODE", detail: "No." }));
    const client = createClient({ baseUrl: BASE, token: "sidekey_k", fetch });
    const first = call(client);
    for (let turn = 0; turn < 20; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      t.mock.timers.tick(100);
    }
    assert.deepEqual(await first, answer);
    await call(client, { idempotencyKey: "stored" });
    await refused(call(client));
    const keys = seen.map((sent) => sent.headers["Idempotency-Key"] ?? "");
    assert.match(keys[0] ?? "", /^[0-9a-f]{32}$/);
    assert.equal(keys[1], keys[0], path);
    assert.equal(keys[2], "stored");
    assert.equal(new Set(keys).size, 3, "a request of its own has a key of its own");
    assert.equal(seen.length, 4, "a refusal is not repeated");
    for (const sent of seen) {
      assert.deepEqual([sent.path, sent.headers["Authorization"], member in sent.body], [path, "Bearer sidekey_k", true]);
    }
  }
});

test("a refused refresh is not repeated", async () => {
  const { fetch, seen } = network(problem(401, { code: "AUTH_REQUIRED", detail: "Spent." }));
  assert.equal((await refused(createClient({ baseUrl: BASE, fetch }).refresh("r1"))).code, "AUTH_REQUIRED");
  assert.equal(seen.length, 1);
});

test("refreshing the same token twice at once spends it once", async () => {
  const { fetch, seen } = network(ok(TOKENS), ok(TOKENS));
  const client = createClient({ baseUrl: BASE, fetch });
  const both = await Promise.all([client.refresh("r1", { idempotencyKey: "k" }), client.refresh("r1")]);
  assert.deepEqual(both, [TOKENS, TOKENS]);
  assert.equal(seen.length, 1);
  assert.equal(seen[0]?.headers["Idempotency-Key"], "k");
  await client.refresh("r1");
  assert.equal(seen.length, 2, "afterwards it is a request of its own");
});

test("an abort gives the signal's own reason, a silent server is given up", async (t) => {
  /** @type {typeof globalThis.fetch} */
  const silent = (_, init) => new Promise((_resolve, reject) => init?.signal?.addEventListener("abort", () => reject(new Error("aborted"))));
  const leaving = new AbortController();
  const call = createClient({ baseUrl: BASE, fetch: silent, signal: leaving.signal }).revoke("r");
  leaving.abort(new Error("the page was left"));
  await assert.rejects(call, /^Error: the page was left$/);

  t.mock.timers.enable({ apis: ["setTimeout"] });
  const waiting = refused(createClient({ baseUrl: BASE, fetch: silent, timeoutMs: 5_000 }).revoke("r"));
  t.mock.timers.tick(5_000);
  assert.equal((await waiting).code, "NETWORK");
});

test("the server's clock is learnt from its answers", async (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Date.UTC(2026, 10, 22, 12, 0, 0, 500) });
  const date = (/** @type {string} */ time) => ({ date: `Sun, 22 Nov 2026 ${time} GMT` });
  const { fetch } = network(ok({}, date("12:01:30")), ok({}, date("12:00:00")), ok({}));
  const client = createClient({ baseUrl: BASE, token: "t", fetch });
  assert.equal(client.clock.offsetMs, null);
  assert.equal(client.clock.now(), Date.now());
  await client.listDevices();
  assert.equal(client.clock.offsetMs, 90_000, "the middle of what the header leaves open");
  assert.equal(client.clock.now(), Date.now() + 90_000);
  await client.listDevices();
  assert.equal(client.clock.offsetMs, 0, "a clock that was set counts anew");
  await client.listDevices();
  assert.equal(client.clock.offsetMs, 0, "an answer without a date changes nothing");
});

test("a base URL that leads nowhere is told at once", () => {
  assert.throws(() => createClient({ baseUrl: "/api" }), /^TypeError: `baseUrl` must be an absolute URL/);
});
