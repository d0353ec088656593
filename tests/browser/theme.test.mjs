// The pages in the colours of an application: whatever the accent, they can be read, and the system's own colours win.

import assert from "node:assert/strict";
import { test } from "node:test";

import { assertAccessible } from "./accessibility.mjs";
import { Place } from "./checklist/person.mjs";

const place = Place.open();
const LOGO = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 64 64'><circle cx='32' cy='32' r='30' fill='#5b2a86'/></svg>";

/** Changes the demo application, which its pages wear. @param {object} settings */
async function set(settings) {
  const headers = { authorization: `Bearer ${await place.server.demoKey()}`, "content-type": "application/json" };
  const answer = await fetch(`${place.server.origin}/2fa/app/`, { method: "PATCH", headers, body: JSON.stringify(settings) });
  assert.equal(answer.status, 200, await answer.text());
}

/** @typedef {import("playwright-core").Page} Page */

/** A colour as the page draws it. @param {Page} page @param {string} selector @param {"backgroundColor" | "color"} property */
const drawn = (page, selector, property) => page.locator(selector).first().evaluate((element, property) => getComputedStyle(element)[property], property);

/** @param {Page} page @param {string} name */
async function judge(page, name) {
  for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
    await page.emulateMedia({ colorScheme, forcedColors: "none", reducedMotion: "reduce" });
    await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
    await assertAccessible(page, `${name}, ${colorScheme}`);
  }
}

for (const accent of ["#ffff00", "#000000", "#ffffff", "#808080"]) {
  test(`pages with the accent ${accent} can be read in light and in dark`, async () => {
    await set({ name: "Harbour Books", accent_color: accent, logo: `data:image/svg+xml;base64,${Buffer.from(LOGO).toString("base64")}` });
    await place.newcomer({ reducedMotion: "reduce" }, async (person) => {
      const { page } = person;
      const logo = page.getByRole("img", { name: "Logo of Harbour Books" });
      assert.ok(await logo.evaluate((image) => /** @type {HTMLImageElement} */ (image).naturalWidth > 0), "the logo is drawn");
      await judge(page, "enrolment");
      const app = await person.connect();
      await judge(page, "backup codes");
      await person.keepCodes();
      await person.signIn();
      await judge(page, "challenge");
      const [red, green, blue] = [1, 3, 5].map((at) => parseInt(accent.slice(at, at + 2), 16));
      assert.equal(await drawn(page, ".button.primary", "backgroundColor"), `rgb(${red}, ${green}, ${blue})`);
      await person.sendRefused(await app.wrongCode());
      await judge(page, "challenge refused");
      await person.send(await app.freshCode());
      await page.locator("form:has(input[value=account]) button").click();
      await page.waitForURL(/\/2fa\/account\/$/);
      await page.locator("details").evaluateAll((all) => all.forEach((one) => one.setAttribute("open", "")));
      await judge(page, "account");
    });
  });
}

test("the system's own colours win over an application's", async () => {
  await set({ accent_color: null });
  /** @type {string[]} */ let plain = [];
  const colours = async (/** @type {Page} */ page) => [
    await drawn(page, ".button.primary", "backgroundColor"),
    await drawn(page, ".key", "color"),
    await drawn(page, "a", "color"),
  ];
  await place.newcomer({ forcedColors: "active", colorScheme: "dark" }, async ({ page }) => {
    plain = await colours(page);
  });
  await set({ accent_color: "#ffff00" });
  await place.newcomer({ forcedColors: "active", colorScheme: "dark" }, async ({ page }) => {
    assert.deepEqual(await colours(page), plain);
    await assertAccessible(page);
  });
});
