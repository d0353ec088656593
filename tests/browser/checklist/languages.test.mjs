// Every language of the pages: chosen by the browser or by the application, and spoken on every page.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Place } from "./person.mjs";

const place = Place.open();
const KEY = /\b(?:enroll|challenge|codes|account|backup|error|wait|devices|demo)\.[a-z-]+\b/;

for (const [tag, direction] of [["en", "ltr"], ["de", "ltr"], ["fr", "ltr"], ["es", "ltr"], ["pt", "ltr"], ["ar", "rtl"], ["ja", "ltr"], ["zh", "ltr"]]) {
  test(`${tag}: every page is in the language of the browser`, async () => {
    await place.newcomer({ locale: String(tag) }, async (person) => {
      const { page } = person;
      const speaks = async (/** @type {string} */ english) => {
        assert.equal(await page.locator("html").getAttribute("lang"), tag);
        assert.equal(await page.locator("html").getAttribute("dir"), direction);
        assert.equal((await page.locator("h1").textContent()) === english, tag === "en", `the heading “${english}”`);
        assert.doesNotMatch((await page.locator("main").innerText()).replaceAll(person.account, ""), KEY);
      };
      await speaks("Connect an authenticator app");
      const app = await person.app();
      await person.sendRefused(await app.wrongCode());
      await speaks("Connect an authenticator app");
      await person.connect();
      await speaks("Keep your backup codes");
      await person.keepCodes();
      await page.locator("form:has(input[value=account]) button").click();
      await page.waitForURL(/\/2fa\/account\/$/);
      await speaks("Two-factor authentication");
      await person.signIn();
      await speaks("Type your code");
    });
  });
}

test("an application chooses the language by ui_locales", async () => {
  await place.newcomer({ locale: "en" }, async ({ page }) => {
    await page.goto(`${place.server.origin}/2fa/enroll/?ui_locales=xx+de-AT`);
    assert.equal(await page.locator("html").getAttribute("lang"), "de");
    await page.goto(`${place.server.origin}/2fa/enroll/`);
    assert.equal(await page.locator("html").getAttribute("lang"), "de", "and the choice lasts");
  });
});

test("numbers are in the digits that the browser has for the language, and times too; those of a name stay", async () => {
  await place.member({ locale: "ar", timezoneId: "Asia/Tokyo" }, async (person, app) => {
    const { page } = person;
    // Chromium writes Arabic with either kind of digits, as the region has it.
    await page.addInitScript(() => {
      const Own = Intl.NumberFormat;
      Intl.NumberFormat = /** @type {typeof Own} */ (/** @type {unknown} */ (class extends Own {
        constructor(/** @type {string} */ language, /** @type {Intl.NumberFormatOptions} */ options) {
          super(`${language}-u-nu-arab`, options);
        }
      }));
    });
    await person.sendRefused(await app.wrongCode());
    assert.match((await person.description())[0] ?? "", /\u2068٤\u2069/, "four attempts are left");
    await person.send(await app.freshCode());
    await page.locator("form:has(input[value=account]) button").click();
    await page.waitForURL(/\/2fa\/account\/$/);
    assert.match((await page.locator(".count").textContent()) ?? "", /١٠/);
    assert.match((await page.locator(".who strong").textContent()) ?? "", /^person-\d+@example\.com$/);
    const { shown, iso, said } = await page.locator("time").first().evaluate((time) => {
      const moment = new Date(/** @type {HTMLTimeElement} */ (time).dateTime);
      const said = new Intl.DateTimeFormat("ar", { dateStyle: "medium", timeStyle: "short", timeZone: "Asia/Tokyo" }).format(moment);
      return { shown: time.textContent, iso: time.getAttribute("datetime"), said };
    });
    assert.match(iso ?? "", /^\d{4}-\d\d-\d\dT[\d:]+Z$/);
    assert.equal(shown, said);
  });
});
