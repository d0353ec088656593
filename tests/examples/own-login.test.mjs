// Django and Express with their own login: password, code, guarded page. PyJWT and jose verify the tokens there.

import assert from "node:assert/strict";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { Authenticator } from "../browser/authenticator.mjs";
import { Server } from "../browser/server.mjs";
import { freePort, place, run, start } from "./application.mjs";
import { Visitor } from "./visitor.mjs";

const EXAMPLES = fileURLToPath(new URL("../../examples", import.meta.url));
const PASSWORD = "correct horse";

/**
 * @typedef {object} Example
 * @property {string} id
 * @property {string} returnPath
 * @property {string} terminal the path of the page that wants a second factor of the last hour
 * @property {string} nameField
 * @property {(env: Record<string, string>, port: number, folder: string) => Promise<{ output: () => string, stop(): Promise<void> }>} start
 */

/** @type {Example[]} */
const examples = [
  {
    id: "django",
    returnPath: "/returned/",
    terminal: "/terminal/",
    nameField: "username",
    async start(env, port, folder) {
      const python = place("SIDEKEY_EXAMPLES_PYTHON");
      await cp(join(EXAMPLES, "django"), folder, { recursive: true });
      const options = { cwd: folder, env: { ...env, DATABASE: join(folder, "example.sqlite3"), PYTHONUNBUFFERED: "1" } };
      const user = `from django.contrib.auth.models import User; User.objects.create_user('ann', password='${PASSWORD}')`;
      await run(python, ["project.py", "migrate"], options);
      await run(python, ["project.py", "shell", "-c", user], options);
      return start(python, ["project.py", "runserver", "--noreload", `127.0.0.1:${port}`], /Quit the server/, options);
    },
  },
  {
    id: "express",
    returnPath: "/returned",
    terminal: "/terminal",
    nameField: "name",
    async start(env, port) {
      // The packages lie beside a copy of the example.
      return start(process.execPath, ["server.js"], /listening on/, { cwd: place("SIDEKEY_EXAMPLES_EXPRESS"), env: { ...env, PORT: String(port) } });
    },
  },
];

for (const example of examples) {
  describe(`the ${example.id} application`, () => {
    /** @type {Server} */ let sidekey;
    /** @type {Awaited<ReturnType<Example["start"]>>} */ let application;
    /** @type {string} */ let origin;
    /** @type {string} */ let folder;

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), "sidekey-example-"));
      sidekey = await Server.start();
      const port = await freePort();
      origin = `http://127.0.0.1:${port}`;
      const created = await sidekey.command("app", "create", "--name", "Example", "--id", example.id, "--return-url", `${origin}${example.returnPath}`);
      const env = { SIDEKEY_URL: sidekey.origin, SIDEKEY_APP: example.id, SIDEKEY_API_KEY: created.api_key, PUBLIC_URL: origin };
      application = await example.start(env, port, folder);
    });
    after(async () => {
      await application?.stop();
      await sidekey?.stop();
      await rm(folder, { recursive: true });
    });

    const signedIn = async () => {
      const visitor = new Visitor();
      await visitor.open(`${origin}/`);
      await visitor.submit("password", { [example.nameField]: "ann", password: PASSWORD });
      return visitor;
    };

    test("who has no device, and needs none to be let in, is led to where one is set up", async () => {
      await sidekey.command("app", "set", "--app", example.id, "--enforcement", "optional");
      const visitor = await signedIn();
      assert.equal(visitor.url, `${sidekey.origin}/2fa/account/`, application.output());
      assert.equal(visitor.status, 200);
      await sidekey.command("app", "set", "--app", example.id, "--enforcement", "required");
    });

    test("password and code open the guarded pages", async () => {
      const visitor = await signedIn();
      assert.equal(visitor.url, `${sidekey.origin}/2fa/enroll/`, application.output());
      const secret = /secret=([A-Z2-7]+)/.exec(visitor.html)?.[1];
      const phone = new Authenticator(`otpauth://totp/ann?secret=${secret}`, sidekey);
      await visitor.submit("code", { code: await phone.freshCode() });
      const codes = visitor.hidden("codes").split(/\s+/);
      assert.equal(codes.length, 10);
      await visitor.submit("saved", { saved: "yes" });
      assert.equal(visitor.url, `${origin}/`, application.output());
      assert.match(visitor.html, /Hello ann, with a second factor\./);
      await visitor.open(example.terminal);
      assert.match(visitor.html, /Terminal of ann\./);

      // The next time a code is asked for; it may be a backup code.
      const again = await signedIn();
      assert.equal(again.url, `${sidekey.origin}/2fa/challenge/`);
      await again.open(`${origin}${example.terminal}`);
      assert.equal(new URL(again.url).origin, origin, "a password alone opens nothing");
      assert.doesNotMatch(again.html, /Terminal of/);
      const third = await signedIn();
      await third.submit("backup_code", { backup_code: codes[0] ?? "" });
      assert.match(third.html, /Hello ann, with a second factor\./, application.output());
    });

    test("while Sidekey cannot be asked, a page says so and nobody is let in", async () => {
      await sidekey.stop();
      const visitor = await signedIn();
      assert.equal(visitor.status, 503, application.output());
      assert.match(visitor.html, /^Nobody can sign in at the moment\./);
      await visitor.open(example.terminal);
      assert.doesNotMatch(visitor.html, /Terminal of/);
    });
  });
}
