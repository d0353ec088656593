// Point 25 of the checklist: the browser's Back, and waiting too long, lose nothing and change no secret.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Authenticator } from "../authenticator.mjs";
import { Place } from "./person.mjs";

const place = Place.open();
const SETUP_LIFETIME_S = 600;
const SESSION_LIFETIME_S = 300;

/** @typedef {import("./person.mjs").Person} Person */

/** To the account page by the demonstration. @param {Person} person */
async function openAccount({ page }) {
  await page.goto(`${place.server.origin}/demo/`);
  await page.locator("form:has(input[value=account]) button").click();
  await page.waitForURL(/\/2fa\/account\/$/);
}

test("point 25: back after a code was right leads on, and asks for no second one", async () => {
  await place.member({}, async (person, app) => {
    const { page } = person;
    await person.send(await app.freshCode());
    await page.waitForURL(/\/demo\/$/);
    await page.goBack();
    await page.getByRole("heading", { level: 1, name: "You are signed in" }).waitFor();
    assert.equal(await page.locator("input[name=code]").count(), 0);
    await page.getByRole("button", { name: "Continue" }).click();
    await page.waitForURL(/\/demo\/$/);
  });
});

test("point 25: back from the backup codes keeps the device, and says where to get new codes", async () => {
  await place.newcomer({}, async (person) => {
    const { page } = person;
    const app = await person.connect();
    await page.goBack();
    await page.goto(`${place.server.origin}/2fa/enroll/`);
    await page.getByRole("heading", { level: 1, name: "This is already done" }).waitFor();
    assert.equal(await page.locator("a[href^='otpauth:']").count(), 0, "no other secret");
    await page.getByRole("link", { name: "account page" }).click();
    await page.getByText("10 of 10 left").waitFor();
    await person.signIn();
    await person.send(await app.freshCode());
    await page.waitForURL(/\/demo\/$/);
  });
});

test("point 25: codes that nobody has said to have kept stay on the page, and a reload of it changes nothing", async () => {
  await place.newcomer({}, async (person) => {
    const { page, window } = person;
    const app = await person.connect();
    const codes = await person.codes();
    await page.locator("form.gate").evaluate((form) => form.setAttribute("novalidate", ""));
    window.expect("400 /2fa/enroll/", "400 /2fa/enroll/");
    await page.locator("form.gate button").click();
    await page.getByText("Save the codes first").waitFor();
    assert.deepEqual(await person.codes(), codes);
    await page.reload();
    assert.deepEqual(await person.codes(), codes, "the form is sent again, and they are shown again");
    await person.keepCodes();
    await person.signIn();
    await person.send(await app.freshCode());
    await page.waitForURL(/\/demo\/$/);
  });
});

test("point 16: an enrolment that has ended says what becomes of its QR code, and leads back", async () => {
  await place.newcomer({}, async (person) => {
    const { page } = person;
    const { uri } = await person.app();
    await place.server.advance(SESSION_LIFETIME_S + 1);
    await person.sendRefused("123456");
    await page.getByText("this sign-in has ended for your safety, and its QR code with it").waitFor();
    await page.getByRole("link", { name: "Back to Demo application" }).click();
    await page.waitForURL(/\/demo\/$/);
    await person.signIn();
    assert.notEqual(await person.uri(), uri);
  });
});

test("point 16: a QR code that expires on the account page is told, and there is a new one after the proof", async () => {
  await place.newcomer({}, async (person) => {
    const { page, window } = person;
    const app = await person.connect();
    await person.keepCodes();
    await openAccount(person);
    await page.goto(`${place.server.origin}/2fa/account/device/`);
    const old = await person.uri();
    await place.server.advance(SETUP_LIFETIME_S + 1);
    window.expect("400 /2fa/account/device/");
    await person.send(await new Authenticator(old, place.server).freshCode());
    await page.getByText("The QR code has expired: it was good for ten minutes.").waitFor();
    await page.getByRole("heading", { level: 1, name: "Confirm that it is you" }).waitFor();
    await person.send(await app.freshCode());
    await page.waitForURL(/\/2fa\/account\/device\/$/);
    const fresh = await person.uri();
    assert.notEqual(fresh, old);
    await person.send(await new Authenticator(fresh, place.server).freshCode());
    await page.getByText("The device is connected.").waitFor();
  });
});
