// Points 11 to 19 of the checklist: the field for the code, and what is said when one is refused.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CODE, Place } from "./person.mjs";

const place = Place.open();
const SETUP_LIFETIME_S = 600;
const SESSION_LIFETIME_S = 300;

test("points 11 and 12: one field for text, for digits, for a code that is sent once, and no short limit", async () => {
  await place.member({}, async ({ page }) => {
    const fields = page.locator("form").first().locator("input[type=text]:visible");
    assert.equal(await fields.count(), 1);
    const attributes = await fields.evaluate((field) => Object.fromEntries(field.getAttributeNames().map((name) => [name, field.getAttribute(name)])));
    assert.equal(attributes["type"], "text");
    assert.equal(attributes["inputmode"], "numeric");
    assert.equal(attributes["autocomplete"], "one-time-code");
    assert.ok(Number(attributes["maxlength"] ?? Infinity) >= 32);
    assert.equal(attributes["pattern"], undefined);
  });
});

/** @type {[string, (code: string) => string][]} */
const WRITINGS = [
  ["with a gap", (code) => `${code.slice(0, 3)} ${code.slice(3)}`],
  ["with a hyphen and blanks around", (code) => `  ${code.slice(0, 3)}-${code.slice(3)} `],
  ["in Arabic-Indic digits", (code) => [...code].map((digit) => String.fromCodePoint(0x660 + Number(digit))).join("")],
];

for (const [name, write] of WRITINGS) {
  test(`point 13: a code ${name} is accepted, for enrolment and for the challenge`, async () => {
    await place.newcomer({}, async (person) => {
      const app = await person.app();
      await person.send(write(await app.freshCode()));
      await person.page.locator("#codes").waitFor();
      await person.keepCodes();
      await person.signIn();
      await person.send(write(await app.freshCode()));
      await person.page.waitForURL(/\/demo\/$/);
    });
  });
}

test("point 14: a code can be pasted", async () => {
  await place.member({ permissions: ["clipboard-read", "clipboard-write"] }, async ({ page }, app) => {
    const code = await app.freshCode();
    await page.evaluate((text) => navigator.clipboard.writeText(text), `${code.slice(0, 3)} ${code.slice(3)}`);
    await page.locator(CODE).focus();
    await page.keyboard.press("ControlOrMeta+V");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/demo\/$/);
  });
});

test("points 15, 17 and 18: an error marks and describes the field, takes the focus there, and keeps the secret", async () => {
  await place.newcomer({}, async (person) => {
    const { page } = person;
    const app = await person.app();
    const field = page.getByLabel("Code from your app");
    assert.equal(await field.getAttribute("aria-invalid"), null);
    assert.deepEqual(await person.description(), ["The digits that your app shows, with or without the gap"]);
    await page.getByLabel("Name of this device").fill("Work phone");

    await person.sendRefused(await app.wrongCode());
    assert.equal(await field.getAttribute("aria-invalid"), "true");
    const [error, hint] = await person.description();
    assert.match(error ?? "", /^That code is wrong or was used before\. Wait for the next code/);
    assert.equal(hint, "The digits that your app shows, with or without the gap");
    assert.equal(await field.evaluate((field) => field === document.activeElement), true);
    assert.equal(await person.uri(), app.uri, "the same secret");
    assert.equal(await page.getByLabel("Name of this device").inputValue(), "Work phone", "and nothing typed is lost");
    const clock = page.getByText("Set the clock of your phone to automatic");
    assert.equal(await clock.count(), 0);

    await person.sendRefused(await app.wrongCode());
    await clock.waitFor();
    assert.equal(await person.uri(), app.uri);
    await person.send(await app.freshCode());
    await page.locator("#codes").waitFor();
  });
});

test("point 16: malformed, wrong, expired: each has a sentence of its own at enrolment", async () => {
  await place.newcomer({}, async (person) => {
    const app = await person.app();
    await person.sendRefused("12345");
    const [malformed] = await person.description();
    await person.sendRefused(await app.wrongCode());
    const [wrong] = await person.description();
    assert.match(malformed ?? "", /^That is not a whole code\. Type all the digits/);
    assert.match(wrong ?? "", /^That code is wrong or was used before\./);
    await place.server.advance(SETUP_LIFETIME_S + 1);
    await person.sendRefused("123456");
    const text = await person.page.locator("main").innerText();
    assert.match(text, /The earlier QR code has expired|It took too long, so this sign-in has ended/);
  });
});

test("point 16: malformed, wrong, throttled with the wait, too many and expired at the challenge", async () => {
  await place.member({}, async (person, app) => {
    const { page } = person;
    await person.sendRefused("12 34");
    assert.match((await person.description())[0] ?? "", /^That is not a whole code/);
    for (const left of [4, 3, 2, 1]) {
      await person.sendRefused(await app.wrongCode());
      assert.match((await person.description())[0] ?? "", new RegExp(`^That code is wrong.* Attempts left: ${left}\\.$`));
    }
    await person.sendRefused(await app.wrongCode(), 403);
    await page.getByText("Too many codes were wrong, so this sign-in has ended").waitFor();

    await person.signIn();
    const wait = page.getByText(/You can try again in/).first();
    const told = /try again in (?:0:)?(\d+)/.exec((await wait.textContent()) ?? "");
    const seconds = Number(told?.[1]);
    assert.ok(seconds > 0 && seconds <= 30, `a wait of ${seconds} seconds`);
    await page.getByText("the next one has to wait").waitFor();
    await place.server.advance(31);
    await page.reload();
    assert.equal(await wait.count(), 0, "the wait is over");

    await place.server.advance(SESSION_LIFETIME_S + 1);
    await person.sendRefused("123456");
    await page.getByText("It took too long, so this sign-in has ended").waitFor();
  });
});

test("point 19: each step has its title, and its heading has the focus", async () => {
  await place.newcomer({}, async (person) => {
    const { page } = person;
    /** @type {string[]} */ const titles = [];
    const step = async (/** @type {RegExp} */ name) => {
      const heading = page.getByRole("heading", { level: 1 });
      await heading.filter({ hasText: name }).waitFor();
      assert.equal(await heading.count(), 1);
      assert.match(await page.title(), name);
      titles.push(await page.title());
    };
    const app = await person.app();
    await step(/Connect an authenticator app/);
    assert.equal(await person.focused(), "h1");
    await person.send(await app.freshCode());
    await step(/Keep your backup codes/);
    assert.equal(await person.focused(), "h1");
    await person.keepCodes();
    await step(/Signed in as/);
    assert.equal(await person.focused(), "h1");
    await person.signIn();
    await step(/Type your code/);
    // The one field of this page takes the focus: its heading and lead stand before it in the document's order.
    assert.equal(await person.focused(), "input#code");
    assert.equal(new Set(titles).size, titles.length);
  });
});
