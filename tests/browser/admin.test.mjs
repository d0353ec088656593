// Operators in a real browser: connecting a device, signing in, the page of operators, and helping a user, in every size and colour.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { assertAccessible } from "./accessibility.mjs";
import { Authenticator, scan } from "./authenticator.mjs";
import { launch, Window } from "./browser.mjs";
import { Server } from "./server.mjs";

const PASSWORD = "correct horse battery";
/** The narrowest screen that WCAG 1.4.10 names, and a desk. */
const WIDTHS = [320, 1280];

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

/** Makes an operator. @param {string} name @param {string} role */
async function operator(name, role) {
  const folder = await mkdtemp(join(tmpdir(), "sidekey-operator-"));
  const file = join(folder, "password");
  await writeFile(file, PASSWORD);
  await server.command("admin", "create", name, "--role", role, "--password-file", file);
  await rm(folder, { recursive: true });
}

/** The page breaks no rule, and nothing of it is wider than the screen. @param {Window} window @param {string} name */
async function judge(window, name) {
  const { page } = window;
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 800 });
    for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await assertAccessible(page, `${name}, ${width} px, ${colorScheme}`);
      await window.picture(`admin-${name}-${width}-${colorScheme}`);
    }
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= width, `${name} is ${wide} px wide on a screen of ${width} px`);
  }
  await page.emulateMedia({ colorScheme: "light" });
}

/** @param {Window} window @param {string} name */
async function givePassword(window, name) {
  await window.page.getByLabel("Name").fill(name);
  await window.page.getByLabel("Password").fill(PASSWORD);
  await window.press("Sign in");
}

test("an operator connects a device, signs in with it, and changes what another one may do", async () => {
  const window = await Window.open(browser, server.origin);
  const { page } = window;
  await page.goto(`${server.origin}/admin/`);
  await window.heading("There is no operator yet");
  await judge(window, "nobody");

  await operator("ann", "admin");
  await operator("bob.the-second@example.com", "viewer");
  await page.goto(`${server.origin}/admin/operators/`);
  await judge(window, "sign-in");
  window.expect("403 /admin/sign-in/");
  await page.getByLabel("Name").fill("ann");
  await page.getByLabel("Password").fill("wrong horse battery");
  await window.press("Sign in");
  await window.says("do not belong together");
  await judge(window, "sign-in-refused");
  await givePassword(window, "ann");

  await window.heading("Connect an authenticator app");
  await judge(window, "enrol");
  await page.setViewportSize({ width: 1280, height: 800 });
  const app = new Authenticator(await scan(await window.picture("admin-scanned")), server);
  assert.equal(app.issuer, "Sidekey admin");
  window.expect("400 /admin/enrol/");
  await page.getByLabel("Code from your app").fill(await app.wrongCode());
  await window.press("Connect and sign in");
  await window.says("That code is wrong");
  await judge(window, "enrol-refused");
  await page.getByLabel("Code from your app").fill(await app.freshCode());
  await window.press("Connect and sign in");
  await window.heading("Keep these backup codes");
  assert.equal(await page.locator(".codes li").count(), 10);
  await judge(window, "backup-codes");
  await page.getByRole("link", { name: "I have kept them" }).click();
  await window.heading("Overview");

  await window.press("Sign out");
  await window.heading("Sign in to the admin area");
  await givePassword(window, "ann");
  await window.heading("Second factor");
  window.expect("400 /admin/second-factor/");
  await page.getByLabel("Code from your app").fill(await app.usedCode());
  await page.getByRole("button", { name: "Sign in", exact: true }).first().click();
  await window.says("That code is wrong");
  await judge(window, "second-factor-refused");
  await page.getByLabel("Code from your app").fill(await app.freshCode());
  await page.getByRole("button", { name: "Sign in", exact: true }).first().click();
  await window.heading("Overview");

  await server.command("app", "create", "--name", "Shop", "--id", "shop");
  for (const [name, path, heading] of [
    ["overview", "", "Overview"],
    ["overview-long", "?days=30", "Overview"],
    ["trail", "trail/", "Audit trail"],
    ["apps", "apps/", "Applications"],
    ["app", "app/?app=shop", "Shop"],
    ["server", "server/", "Server"],
    ["events", "events/", "What happens"],
  ]) {
    await page.goto(`${server.origin}/admin/${path}`);
    await window.heading(heading);
    await page.locator("details").evaluateAll((all) => all.forEach((one) => one.setAttribute("open", "")));
    await judge(window, name);
  }
  await page.locator("[role=status]", { hasText: "Live: what happens appears here." }).waitFor();
  await server.command("key", "create", "--app", "shop");
  await page.locator("strong.event", { hasText: "api_key_created" }).nth(1).waitFor();
  await judge(window, "events-live");

  await page.getByRole("link", { name: "Operators" }).click();
  await window.heading("Operators");
  await page.locator("details").evaluateAll((all) => all.forEach((one) => one.setAttribute("open", "")));
  await judge(window, "operators");
  await server.advance(15 * 60);
  window.expect("401 /admin/operators/");
  await page.getByLabel("Role", { exact: true }).selectOption("support");
  await page.getByLabel("Reason").first().fill("Helps in November");
  await window.press("Change the role");
  await window.heading("Confirm that it is you");
  await judge(window, "confirm");
  await page.getByLabel("Code from your app").fill(await app.freshCode());
  await window.press("Confirm");
  await window.says("The role of bob.the-second@example.com is support now.");
  await judge(window, "operators-done");
  window.check();
  await window.close();
});

/** Users of the demo application in every state. */
async function seed() {
  const headers = { authorization: `Bearer ${await server.demoKey()}`, "content-type": "application/json" };
  const answer = await fetch(`${server.origin}/development/seed/`, { method: "POST", headers, body: "{}" });
  assert.ok(answer.ok, `${answer.status}`);
}

test("support finds a user, disables a device for a reason, and reads both in the trail", async () => {
  await seed();
  await operator("sue", "support");
  const window = await Window.open(browser, server.origin);
  const { page } = window;
  await page.goto(`${server.origin}/admin/`);
  await givePassword(window, "sue");
  await page.setViewportSize({ width: 1280, height: 800 });
  const app = new Authenticator(await scan(await window.picture("admin-support-scanned")), server);
  await page.getByLabel("Code from your app").fill(await app.freshCode());
  await window.press("Connect and sign in");
  await page.getByRole("link", { name: "I have kept them" }).click();

  await page.getByRole("link", { name: "Users" }).click();
  await window.heading("Users");
  await page.getByRole("searchbox").fill("TWO-dev");
  await window.press("Search");
  await judge(window, "users");
  await page.getByRole("link", { name: "seed-two-devices" }).click();
  await window.heading("seed-two-devices");
  await page.getByText("Disable", { exact: true }).first().click();
  await page.getByLabel("Reason").and(page.locator(":visible")).fill("Lost it on the train");
  await window.press("Disable the device");
  await window.says("The device is disabled: no code of it counts.");
  await page.locator("details").evaluateAll((all) => all.forEach((one) => one.setAttribute("open", "")));
  await judge(window, "user");
  const trail = page.locator("section", { has: page.getByRole("heading", { name: "Trail" }) });
  const entry = await trail.locator("li").first().innerText();
  for (const part of ["Device disabled", "Lost it on the train", "by operator sue"]) {
    assert.ok(entry.includes(part), `${part} in ${entry}`);
  }
  for (const user of ["seed-locked", "seed-never-enrolled"]) {
    await page.goto(`${server.origin}/admin/user/?app=demo&user=${user}`);
    await window.heading(user);
    await judge(window, user);
  }
  window.check();
  await window.close();
});
