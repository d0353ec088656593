// The whole way of a person through the pages, on the demo application: connect an app, sign in, lose the phone, manage
// devices, turn it off. Everything that a person sees or types goes through the browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Authenticator, scan } from "./authenticator.mjs";
import { launch, Window } from "./browser.mjs";
import { verify } from "./jwt.mjs";
import { Server } from "./server.mjs";

const ACCOUNT = "ann@example.com";

/** @type {Server} */ let server;
/** @type {import("playwright-core").Browser} */ let browser;

before(async () => {
  server = await Server.start();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** @param {Window} window @param {string} account */
async function signIn(window, account) {
  await window.page.goto(`${server.origin}/demo/`);
  await window.heading("Sign in");
  await window.page.getByLabel("User name").fill(account);
  await window.page.getByLabel("Password").fill("anything");
  await window.press("Sign in");
}

/** @param {Window} window @param {string | Promise<string>} code @param {string} button */
async function typeCode(window, code, button) {
  await window.page.getByLabel("Code from your app").fill(await code);
  await window.press(button);
}

/** Ticks that the codes are kept, and gives them. @param {Window} window */
async function keepBackupCodes(window) {
  await window.heading("Keep your backup codes");
  const codes = await window.page.getByRole("list", { name: "Your backup codes" }).getByRole("listitem").allTextContents();
  assert.equal(new Set(codes).size, 10);
  for (const code of codes) assert.match(code, /^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$/);
  await window.press("Continue");
  await window.says("Save the codes first");
  await window.page.getByLabel("I have saved these codes in a safe place").check();
  await window.press("Continue");
  return codes;
}

/** The access token that the demo application shows. @param {Window} window @param {string} account */
async function shownToken(window, account) {
  await window.heading(`Signed in as ${account}`);
  return (await window.page.getByRole("group", { name: "Access token" }).textContent()) ?? "";
}

/** Connects an app by the QR code and its code; ends before the backup codes. @param {Window} window @param {string} picture */
async function connect(window, picture) {
  await window.heading("Connect an authenticator app");
  const app = new Authenticator(await scan(await window.picture(picture)), server);
  await typeCode(window, app.freshCode(), "Connect");
  return app;
}

test("the QR code can be scanned in every layout, and stays the same until it is used", async () => {
  const window = await Window.open(browser, server.origin);
  await signIn(window, "layouts@example.com");
  await window.heading("Connect an authenticator app");
  const uri = await scan(await window.picture("enroll"));
  const link = window.page.url();
  assert.match(link, /\/2fa\/enroll\/#[\w-]{43}$/);

  await window.page.reload();
  await window.heading("Connect an authenticator app");
  assert.equal(await scan(await window.picture("enroll-reloaded")), uri, "a reload keeps the secret");
  await window.page.setViewportSize({ width: 320, height: 640 });
  assert.equal(await scan(await window.picture("enroll-320px")), uri);
  const overflow = await window.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(overflow, 0, "nothing sticks out at 320 px");
  window.check();
  await window.close();

  /** @type {[string, import("playwright-core").BrowserContextOptions][]} */
  const layouts = [
    ["scale-2", { deviceScaleFactor: 2 }],
    ["dark", { colorScheme: "dark" }],
    ["phone", { viewport: { width: 390, height: 800 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true }],
  ];
  for (const [name, options] of layouts) {
    const other = await Window.open(browser, server.origin, options);
    await other.page.goto(link);
    await other.heading("Connect an authenticator app");
    assert.equal(await scan(await other.picture(`enroll-${name}`)), uri, name);
    other.check();
    await other.close();
  }
});

test("the whole journey", async (t) => {
  const window = await Window.open(browser, server.origin);
  const { page } = window;
  /** @type {Authenticator} */ let phone;
  /** @type {string[]} */ let codes;
  let stopped = false;

  /** A leg of the journey, which leads nowhere once one before it has failed. @param {string} name @param {() => Promise<void>} walk */
  const leg = (name, walk) =>
    t.test(name, { skip: stopped }, async () => {
      stopped = true;
      await walk();
      stopped = false;
    });

  await leg("connects an app", async () => {
    await signIn(window, ACCOUNT);
    await window.heading("Connect an authenticator app");
    phone = new Authenticator(await scan(await window.picture("journey-1-enroll")), server);
    assert.match(phone.secret, /^[A-Z2-7]{32}$/);
    assert.equal(phone.label, `${phone.issuer}:${ACCOUNT}`);
    const byHand = (await page.locator("code.secret").textContent())?.replaceAll(/\s/g, "");
    assert.equal(byHand, phone.secret, "the key to type is the key to scan");

    window.expect("400 /2fa/setup/confirm/");
    await typeCode(window, phone.wrongCode(), "Connect");
    await window.says("That code is wrong");
    assert.equal(await scan(await window.picture("journey-2-wrong-code")), phone.uri, "a wrong code keeps the QR code");
    await page.reload();
    await window.heading("Connect an authenticator app");
    assert.equal(await scan(await window.picture("journey-3-reloaded")), phone.uri, "so does a reload");

    await page.getByLabel("Name of this device").fill("Work phone");
    const code = await phone.freshCode();
    await typeCode(window, `${code.slice(0, 3)} ${code.slice(3)}`, "Connect");
    await window.heading("Keep your backup codes");
    await window.picture("journey-4-backup-codes");
    codes = await keepBackupCodes(window);
  });

  await leg("holds a token that PyJWT accepts", async () => {
    const token = await shownToken(window, ACCOUNT);
    await window.picture("journey-5-signed-in");
    const { header, claims } = await verify(token, server);
    assert.equal(header["typ"], "at+jwt");
    assert.equal(header["alg"], "ES256");
    assert.equal(claims["sub"], ACCOUNT);
    assert.equal(claims["aud"], "demo");
    assert.equal(claims["exp"] - claims["iat"], 900);
    assert.deepEqual(claims["amr"], ["otp", "mfa"]);
    const [head, body, signature] = token.split(".");
    const forged = `${head}.${Buffer.from(JSON.stringify({ ...claims, sub: "eve" })).toString("base64url")}.${signature}`;
    assert.ok(body);
    await assert.rejects(verify(forged, server), /InvalidSignatureError/);
    await assert.rejects(verify(token, server, "another-application"), /InvalidAudienceError/);
  });

  await leg("signs in again with a code", async () => {
    await window.press("Sign out");
    await signIn(window, ACCOUNT);
    await window.heading("Type your code");
    await window.picture("journey-6-challenge");
    window.expect("400 /2fa/verify/", "400 /2fa/verify/");
    await typeCode(window, phone.wrongCode(), "Sign in");
    await window.says(/That code is wrong.* 4 attempts left/);
    await window.picture("journey-7-wrong-code");
    await typeCode(window, phone.usedCode(), "Sign in");
    await window.says(/used before.* 3 attempts left/);
    await typeCode(window, phone.freshCode(), "Sign in");
    const { claims } = await verify(await shownToken(window, ACCOUNT), server);
    assert.deepEqual(claims["amr"], ["otp", "mfa"]);
  });

  await leg("signs in with a backup code, once", async () => {
    await window.press("Sign out");
    await signIn(window, ACCOUNT);
    await window.press("Use a backup code instead");
    await window.heading("Use a backup code");
    await page.getByLabel("Backup code").fill(String(codes[0]).toLowerCase().replaceAll("-", " "));
    await window.press("Sign in");
    const { claims } = await verify(await shownToken(window, ACCOUNT), server);
    assert.deepEqual(claims["amr"], ["backup_code", "mfa"]);

    await window.press("Sign out");
    await signIn(window, ACCOUNT);
    await window.press("Use a backup code instead");
    window.expect("400 /2fa/verify/backup/");
    await page.getByLabel("Backup code").fill(String(codes[0]));
    await window.press("Sign in");
    await window.says("That backup code is wrong or used before");
    await window.press("Use your authenticator app instead");
    await typeCode(window, phone.freshCode(), "Sign in");
    await window.heading(`Signed in as ${ACCOUNT}`);
  });

  await leg("renames a device", async () => {
    await page.getByRole("link", { name: "Devices and backup codes" }).click();
    await window.heading("Two-factor authentication");
    await page.getByText("9 of 10 left").waitFor();
    await page.getByRole("heading", { name: "Work phone" }).waitFor();
    await window.press("Rename Work phone");
    await page.getByLabel("New name").fill("<b>Handy</b> & “Büro”");
    await window.press("Save");
    await window.says("The device is now called <b>Handy</b> & “Büro”.");
    await page.getByRole("heading", { name: "<b>Handy</b> & “Büro”" }).waitFor();
    await window.picture("journey-8-account");
  });

  await leg("adds a second device after a fresh second factor, and removes it", async () => {
    await server.advance(601);
    window.expect("401 /2fa/setup/");
    await page.getByRole("link", { name: "Add a device" }).click();
    await window.heading("Confirm that it is you");
    await typeCode(window, phone.freshCode(), "Confirm");
    const tablet = await connect(window, "journey-9-second-device");
    assert.notEqual(tablet.secret, phone.secret);
    await window.heading("Your device is connected");
    await window.press("Continue");
    await window.heading("Two-factor authentication");
    await page.getByRole("heading", { level: 3 }).nth(1).waitFor();
    await window.picture("journey-10-two-devices");

    const remove = page.getByRole("button", { name: /^Remove / });
    assert.equal(await remove.count(), 2);
    await remove.nth(1).click();
    await page.getByRole("dialog").getByRole("button", { name: "Remove", exact: true }).click();
    await window.says("has been removed.");
    assert.deepEqual(await page.getByRole("heading", { level: 3 }).allTextContents(), ["<b>Handy</b> & “Büro”"]);
  });

  await leg("makes new backup codes", async () => {
    await window.press("Make new codes");
    const dialog = page.getByRole("dialog");
    window.expect("400 /2fa/backup-codes/regenerate/");
    await dialog.getByLabel("Code from your app").fill(await phone.wrongCode());
    await dialog.getByRole("button", { name: "Make new codes" }).click();
    await window.says("That code is wrong");
    await window.picture("journey-11-dialog");
    await dialog.getByLabel("Code from your app").fill(await phone.freshCode());
    await dialog.getByRole("button", { name: "Make new codes" }).click();
    const renewed = await keepBackupCodes(window);
    assert.deepEqual(
      renewed.filter((code) => codes.includes(code)),
      [],
    );
    await window.says("Your new backup codes are in force.");
    await page.getByText("10 of 10 left").waitFor();
  });

  await leg("turns two-factor authentication off, and is asked to connect an app at the next sign-in", async () => {
    await window.press("Turn off …");
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Code from your app").fill(await phone.freshCode());
    await dialog.getByRole("button", { name: "Turn off", exact: true }).click();
    await window.says("Two-factor authentication is off.");
    await page.getByText("Your account is protected by your password alone").waitFor();
    await window.picture("journey-12-off");
    await window.press("Sign out");
    await window.heading("You are signed out");
    await signIn(window, ACCOUNT);
    await window.heading("Connect an authenticator app");
    assert.notEqual(await scan(await window.picture("journey-13-again")), phone.uri, "the old secret is gone for good");
  });

  window.check();
  await window.close();
});

test("no secret, code or token of the journey is in the server's log", () => {
  const log = server.log.join("\n");
  assert.match(log, /listening/);
  assert.doesNotMatch(log, /otpauth:|secret=|sidekey_[\w-]{43}|enroll_[\w-]{43}|eyJ[\w-]+\.eyJ|[0-9A-Z]{4}(-[0-9A-Z]{4}){3}/);
});
