// What applications do with access tokens by themselves: the warp example with its guard, and djangorestframework-simplejwt.

import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, test } from "node:test";

import { Authenticator } from "../browser/authenticator.mjs";
import { Server } from "../browser/server.mjs";
import { place, run, start } from "./application.mjs";

/** @type {Server} */ let sidekey;
/** @type {{ app_id: string, api_key: string }} */ let app;

before(async () => {
  sidekey = await Server.start();
  app = await sidekey.command("app", "create", "--name", "Tokens", "--id", "tokens");
});
after(() => sidekey?.stop());

/** @param {string} path @param {string} credential @param {object} body */
async function post(path, credential, body) {
  const headers = { authorization: `Bearer ${credential}`, "content-type": "application/json" };
  const answer = await fetch(sidekey.origin + path, { method: "POST", headers, body: JSON.stringify(body) });
  assert.ok(answer.ok, `${path}: ${answer.status}`);
  return answer.json();
}

/** Tokens of a user before and after a first device is set up. @param {string} user */
async function tokens(user) {
  const { access_token: password } = await post("/2fa/sessions/", app.api_key, { user_id: user });
  const setup = await post("/2fa/setup/", password, {});
  const phone = new Authenticator(setup.provisioning_uri, sidekey);
  const { access_token: code } = await post("/2fa/setup/confirm/", password, { device_id: setup.device_id, code: await phone.freshCode() });
  return { password, code };
}

test("the warp application opens its terminals to a second factor only", async () => {
  const warp = await start(place("SIDEKEY_EXAMPLES_WARP"), [], /listening on \S+/, { env: { SIDEKEY_URL: sidekey.origin, SIDEKEY_APP: app.app_id, PORT: "0" } });
  try {
    const origin = /listening on (\S+)/.exec(warp.output())?.[1];
    const { password, code } = await tokens("ann");
    /** @param {string} token */
    const list = (token) => fetch(`${origin}/terminals`, { headers: { authorization: `Bearer ${token}` } });
    const refused = await list(password);
    assert.equal(refused.status, 401);
    assert.match(refused.headers.get("www-authenticate") ?? "", /insufficient_user_authentication/);
    const answer = await list(code);
    assert.equal(await answer.text(), "terminals of ann: build, deploy\n");
    assert.equal(await upgrade(`${origin}/terminals/build/connect`, password), "401");
    assert.match(await upgrade(`${origin}/terminals/build/connect`, code), /ann@build\$$/);
  } finally {
    await warp.stop();
  }
});

/** The first words over a WebSocket, or the status of the refusal. @param {string} url @param {string} token @returns {Promise<string>} */
function upgrade(url, token) {
  const headers = {
    authorization: `Bearer ${token}`,
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": Buffer.alloc(16).toString("base64"),
  };
  return new Promise((resolve, reject) => {
    const call = request(url, { headers });
    call.on("response", (answer) => (answer.resume(), resolve(String(answer.statusCode))));
    call.on("upgrade", (_answer, socket, head) => {
      const take = (/** @type {Buffer} */ bytes) => (socket.destroy(), resolve(bytes.toString("latin1")));
      if (head.length > 0) take(head);
      else socket.once("data", take);
    });
    call.on("error", reject);
    call.end();
  });
}

test("djangorestframework-simplejwt takes the tokens for its own", async () => {
  const { password, code } = await tokens("bob");
  const script = `
import sys
import django
from django.conf import settings
settings.configure(USE_TZ=True, SECRET_KEY="signs nothing here", INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"])
django.setup()
from rest_framework_simplejwt.backends import TokenBackend
url, app = sys.argv[1:3]
backend = TokenBackend("ES256", jwk_url=f"{url}/.well-known/jwks.json", audience=app, issuer=url)
for token in sys.argv[3:]:
    claims = backend.decode(token)
    print(claims["sub"], "otp" in claims.get("amr", []))
`;
  const told = await run(place("SIDEKEY_EXAMPLES_PYTHON"), ["-c", script, sidekey.origin, app.app_id, password, code], {});
  assert.equal(told.trim(), "bob False\nbob True");
});
