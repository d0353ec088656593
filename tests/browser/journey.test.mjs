// The whole way of a person through the pages, on the demo application: connect an app, sign in, lose the phone, manage
// devices, turn it off. Everything that a person sees or types goes through the browser, once without JavaScript and once with it.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";

import { Authenticator, scan } from "./authenticator.mjs";
import { launch, Window } from "./browser.mjs";
import { verify } from "./jwt.mjs";
import { Server } from "./server.mjs";

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
  await window.page.getByLabel("Code from your app").locator("visible=true").fill(await code);
  await window.page.getByRole("button", { name: button, exact: true }).locator("visible=true").first().click();
}

/** Ticks that the codes are kept, and gives them. @param {Window} window */
async function keepBackupCodes(window) {
  await window.heading("Keep your backup codes");
  const codes = await window.page.getByRole("list", { name: "Your backup codes" }).getByRole("listitem").allTextContents();
  assert.equal(new Set(codes).size, 10);
  for (const code of codes) assert.match(code, /^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$/);
  const [download] = await Promise.all([window.page.waitForEvent("download"), window.press("Download")]);
  assert.equal(download.suggestedFilename(), "backup-codes.txt");
  const file = await readFile(await download.path(), "utf8");
  for (const code of codes) assert.ok(file.includes(code), "the file has every code");
  await window.press("Continue");
  await window.heading("Keep your backup codes");
  await window.page.getByLabel("I have saved these codes in a safe place").check();
  await window.press("Continue");
  return codes;
}

/** The access token that the demo application shows. @param {Window} window @param {string} account */
async function shownToken(window, account) {
  await window.heading(`Signed in as ${account}`);
  assert.equal(new URL(window.page.url()).search, "", "the one-time code has left the address");
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
  /** @type {[string, import("playwright-core").BrowserContextOptions][]} */
  const layouts = [
    ["wide", {}],
    ["320px", { viewport: { width: 320, height: 640 } }],
    ["scale-2", { deviceScaleFactor: 2 }],
    ["dark", { colorScheme: "dark" }],
    ["forced-colors", { forcedColors: "active", colorScheme: "dark" }],
    ["phone", { viewport: { width: 390, height: 800 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true }],
    ["no-script", { javaScriptEnabled: false, viewport: { width: 320, height: 640 }, colorScheme: "dark" }],
  ];
  for (const [name, options] of layouts) {
    const window = await Window.open(browser, server.origin, options);
    await signIn(window, `${name}@example.com`);
    await window.heading("Connect an authenticator app");
    assert.equal(window.page.url(), `${server.origin}/2fa/enroll/`, "the link has left the address");
    const uri = await scan(await window.picture(`enroll-${name}`));
    await window.page.reload();
    await window.heading("Connect an authenticator app");
    assert.equal(await scan(await window.picture(`enroll-${name}-reloaded`)), uri, `${name}: a reload keeps the secret`);
    if (options.javaScriptEnabled !== false) {
      const overflow = await window.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(overflow, 0, `${name}: nothing sticks out`);
    }
    window.check();
    await window.close();
  }
});

for (const [way, options] of /** @type {[string, import("playwright-core").BrowserContextOptions][]} */ ([
  ["without JavaScript", { javaScriptEnabled: false }],
  ["with JavaScript", {}],
])) {
  test(`the whole journey ${way}`, async (t) => {
    const window = await Window.open(browser, server.origin, options);
    const { page } = window;
    const account = `${way.replaceAll(" ", "-")}@example.com`;
    const picture = (/** @type {string} */ name) => window.picture(`${way.replaceAll(" ", "-")}-${name}`);
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
      await signIn(window, account);
      await window.heading("Connect an authenticator app");
      phone = new Authenticator(await scan(await picture("1-enroll")), server);
      assert.match(phone.secret, /^[A-Z2-7]{32}$/);
      assert.equal(phone.label, `${phone.issuer}:${account}`);
      const byHand = (await page.locator("code.secret").textContent())?.replaceAll(/\s/g, "");
      assert.equal(byHand, phone.secret, "the key to type is the key to scan");

      window.expect("400 /2fa/enroll/", "400 /2fa/enroll/");
      await typeCode(window, phone.wrongCode(), "Connect");
      await window.says("That code is wrong");
      assert.equal(await scan(await picture("2-wrong-code")), phone.uri, "a wrong code keeps the QR code");
      await typeCode(window, phone.wrongCode(), "Connect");
      await window.says("Set the clock of your phone to automatic");
      await page.goto(`${server.origin}/2fa/enroll/`);
      await window.heading("Connect an authenticator app");
      assert.equal(await scan(await picture("3-again")), phone.uri, "so does coming back");

      await page.getByLabel("Name of this device").fill("Work phone");
      const code = await phone.freshCode();
      await typeCode(window, `${code.slice(0, 3)} ${code.slice(3)}`, "Connect");
      await window.heading("Keep your backup codes");
      await picture("4-backup-codes");
      codes = await keepBackupCodes(window);
    });

    await leg("holds a token that PyJWT accepts", async () => {
      const token = await shownToken(window, account);
      await picture("5-signed-in");
      const { header, claims } = await verify(token, server);
      assert.equal(header["typ"], "at+jwt");
      assert.equal(header["alg"], "ES256");
      assert.equal(claims["sub"], account);
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
      await signIn(window, account);
      await window.heading("Type your code");
      assert.equal(page.url(), `${server.origin}/2fa/challenge/`);
      await picture("6-challenge");
      window.expect("400 /2fa/challenge/", "400 /2fa/challenge/");
      await typeCode(window, phone.wrongCode(), "Sign in");
      await window.says(/That code is wrong.* Attempts left: 4/);
      await picture("7-wrong-code");
      await typeCode(window, phone.usedCode(), "Sign in");
      await window.says(/used before.* Attempts left: 3/);
      const arabic = [...(await phone.freshCode())].map((digit) => String.fromCodePoint(0x660 + Number(digit))).join("");
      await typeCode(window, arabic, "Sign in");
      const { claims } = await verify(await shownToken(window, account), server);
      assert.deepEqual(claims["amr"], ["otp", "mfa"]);
      await page.goto(`${server.origin}/2fa/challenge/`);
      await window.heading("You are signed in");
      await window.press("Continue");
      await shownToken(window, account);
    });

    await leg("signs in with a backup code, once", async () => {
      await window.press("Sign out");
      await signIn(window, account);
      await window.heading("Type your code");
      await window.unfold("Use a backup code instead");
      await page.getByLabel("Backup code").fill(String(codes[0]).toLowerCase());
      await page.getByRole("button", { name: "Sign in" }).last().click();
      const { claims } = await verify(await shownToken(window, account), server);
      assert.deepEqual(claims["amr"], ["backup_code", "mfa"]);
      await window.press("Sign out");
      await signIn(window, account);
      await window.heading("Type your code");
      await window.unfold("Use a backup code instead");
      window.expect("400 /2fa/challenge/");
      await page.getByLabel("Backup code").fill(String(codes[0]));
      await page.getByRole("button", { name: "Sign in" }).last().click();
      await window.says("That backup code is wrong or was used before");
      await picture("8-used-backup-code");
      await page.getByLabel("Code from your app").fill(await phone.freshCode());
      await page.getByRole("button", { name: "Sign in" }).first().click();
      await shownToken(window, account);
    });

    await leg("renames a device", async () => {
      await window.press("Devices and backup codes");
      await window.heading("Two-factor authentication");
      assert.equal(page.url(), `${server.origin}/2fa/account/`, "the link has left the address");
      await page.getByText("9 of 10 left").waitFor();
      await page.getByRole("heading", { name: "Work phone" }).waitFor();
      await window.unfold("Rename");
      await page.getByLabel("New name").fill("<b>Handy</b> & “Büro”");
      await window.press("Save");
      await window.says("The device has its new name.");
      await page.getByRole("heading", { name: "<b>Handy</b> & “Büro”" }).waitFor();
      await picture("9-account");
    });

    await leg("adds a second device after a fresh second factor, and removes it", async () => {
      await server.advance(601);
      await page.getByRole("link", { name: "Add a device" }).click();
      await window.heading("Confirm that it is you");
      await picture("10-confirm");
      window.expect("400 /2fa/account/");
      await typeCode(window, phone.wrongCode(), "Confirm");
      await window.says("That code is wrong");
      await typeCode(window, phone.freshCode(), "Confirm");
      const tablet = await connect(window, `${way.replaceAll(" ", "-")}-11-second-device`);
      assert.notEqual(tablet.secret, phone.secret);
      await window.says("The device is connected.");
      await picture("12-two-devices");
      assert.equal(await page.getByRole("heading", { level: 3 }).count(), 2);

      await server.advance(601);
      await page.reload();
      await page.locator("summary").filter({ hasText: "Remove" }).nth(1).click();
      await typeCode(window, phone.freshCode(), "Remove this device");
      await window.says("The device has been removed.");
      assert.deepEqual(await page.getByRole("heading", { level: 3 }).allTextContents(), ["<b>Handy</b> & “Büro”"]);
    });

    await leg("replaces a device without a moment in which none works", async () => {
      await page.getByRole("link", { name: /^Replace / }).click();
      const before = phone;
      phone = await connect(window, `${way.replaceAll(" ", "-")}-13-replacement`);
      await window.says("the old one has been removed");
      assert.notEqual(phone.secret, before.secret);
      assert.equal(await page.getByRole("heading", { level: 3 }).count(), 1);
    });

    await leg("makes new backup codes", async () => {
      await window.unfold("Make new codes");
      window.expect("400 /2fa/account/");
      await typeCode(window, phone.wrongCode(), "Make new codes now");
      await window.says("That code is wrong");
      await picture("14-renew");
      await typeCode(window, phone.freshCode(), "Make new codes now");
      const renewed = await keepBackupCodes(window);
      assert.deepEqual(
        renewed.filter((code) => codes.includes(code)),
        [],
      );
      await window.says("Your new backup codes are in force.");
      await page.getByText("10 of 10 left").waitFor();
    });

    await leg("turns two-factor authentication off, and is asked to connect an app at the next sign-in", async () => {
      await window.unfold("Turn off …");
      await typeCode(window, phone.freshCode(), "Turn off");
      await window.says("Two-factor authentication is off.");
      await page.getByText("Your account is protected by your password alone").waitFor();
      await picture("15-off");
      await window.press("Sign out");
      await window.heading("You are signed out");
      await signIn(window, account);
      await window.heading("Connect an authenticator app");
      assert.notEqual(await scan(await picture("16-again")), phone.uri, "the old secret is gone for good");
    });

    window.check();
    await window.close();
  });
}

test("no secret, code or token of the journey is in the server's log", () => {
  const log = server.log.join("\n");
  assert.match(log, /listening/);
  assert.doesNotMatch(log, /otpauth:|secret=|link=|code=|sidekey_[\w-]{43}|enroll_[\w-]{43}|eyJ[\w-]+\.eyJ|[0-9A-Z]{4}(-[0-9A-Z]{4}){3}/);
});
