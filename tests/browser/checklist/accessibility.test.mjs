// Point 25 of the checklist: axe-core in every mode, targets, reflow, the keyboard, and safe ways back.

import assert from "node:assert/strict";
import { test } from "node:test";

import { assertAccessible } from "../accessibility.mjs";
import { CODE, Place } from "./person.mjs";

const place = Place.open();
const LEAST_TARGET = 24;

/** @typedef {import("./person.mjs").Person} Person */

/** Nothing that is pressed is smaller than 24 pixels; a link within a sentence is free of that (WCAG 2.5.8). @param {Person} person */
async function assertTargets({ page }) {
  const small = await page.locator("a[href]:visible, button:visible, input:not([type=hidden]):visible, summary:visible").evaluateAll((all, least) => {
    const inSentence = (/** @type {Element} */ element) => element.localName === "a" && getComputedStyle(element).display === "inline" && element.parentElement?.textContent?.trim() !== element.textContent?.trim();
    return all.filter((element) => {
      const { width, height } = element.getBoundingClientRect();
      return (width < least || height < least) && !inSentence(element);
    }).map((element) => `${element.outerHTML.slice(0, 100)} ${JSON.stringify(element.getBoundingClientRect())}`);
  }, LEAST_TARGET);
  assert.deepEqual(small, []);
}

/** Light, dark, the system's colours, and a narrow window, on the page as it stands. @param {Person} person @param {string} name */
async function judge(person, name) {
  const { page } = person;
  for (const [mode, media] of /** @type {const} */ ([
    ["light", { colorScheme: "light", forcedColors: "none" }],
    ["dark", { colorScheme: "dark", forcedColors: "none" }],
    ["forced colours", { colorScheme: "dark", forcedColors: "active" }],
  ])) {
    await page.emulateMedia(media);
    // The new colours are there once the page has been drawn in them.
    await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
    const isForced = await page.evaluate(() => matchMedia("(forced-colors: active)").matches);
    assert.equal(isForced, media.forcedColors === "active");
    await assertAccessible(page, `${name}, ${mode}`);
  }
  await page.emulateMedia({ colorScheme: "light", forcedColors: "none" });
  await page.setViewportSize({ width: 320, height: 640 });
  await assertTargets(person);
  const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(beyond <= 0, `${name}: ${beyond} px stick out at 320 px`);
  await page.setViewportSize({ width: 1100, height: 900 });
}

for (const [direction, locale] of /** @type {const} */ ([["left to right", "en"], ["right to left", "ar"]])) {
  test(`point 25: axe-core, targets and reflow of every page, ${direction}`, async () => {
    await place.newcomer({ locale, reducedMotion: "reduce" }, async (person) => {
      const { page } = person;
      if (locale === "ar") assert.equal(await page.locator("html").getAttribute("dir"), "rtl");
      await judge(person, "enrolment");
      const app = await person.app();
      await person.sendRefused(await app.wrongCode());
      await person.sendRefused(await app.wrongCode());
      await judge(person, "enrolment refused twice");
      await person.send(await app.freshCode());
      await page.locator("#codes").waitFor();
      await judge(person, "backup codes");
      await person.keepCodes();
      await judge(person, "demonstration");
      await page.locator("form:has(input[value=account]) button").click();
      await page.waitForURL(/\/2fa\/account\/$/);
      await page.locator("details").evaluateAll((all) => all.forEach((one) => one.setAttribute("open", "")));
      await judge(person, "account");
      await person.signIn();
      await page.locator("summary").click();
      await judge(person, "challenge");
      await person.sendRefused(await app.wrongCode());
      await judge(person, "challenge refused");
      await person.page.context().clearCookies();
      await page.goto(`${place.server.origin}/2fa/challenge/`);
      await judge(person, "nobody was sent here");
    });
  });
}

test("point 25: the keyboard alone goes the whole way", async () => {
  await place.newcomer({}, async (person) => {
    const { page } = person;
    const app = await person.app();
    await person.tabTo("a[href^='otpauth:']");
    await person.tabTo("button[type=button]");
    await person.tabTo(CODE.replace(":visible", ""));
    const outline = await page.evaluate(() => {
      const { outlineStyle, outlineWidth } = getComputedStyle(/** @type {Element} */ (document.activeElement));
      return outlineStyle !== "none" && outlineWidth !== "0px";
    });
    assert.ok(outline, "the focus is seen");
    await page.keyboard.type(await app.freshCode());
    await page.keyboard.press("Enter");
    await page.locator("#codes").waitFor();
    await person.tabTo("#saved");
    await page.keyboard.press("Space");
    await person.tabTo(".gate button");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/demo\/$/);
    await person.signIn();
    await page.keyboard.type(await app.freshCode());
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/demo\/$/);
  });
});

test("point 25: reload and back lose nothing and change no secret", async () => {
  await place.newcomer({}, async (person) => {
    const { page } = person;
    const app = await person.app();
    await page.reload();
    assert.equal(await person.uri(), app.uri);
    await person.sendRefused(await app.wrongCode());
    await page.goto(`${place.server.origin}/2fa/account/`);
    await page.goto(`${place.server.origin}/2fa/enroll/`);
    assert.equal(await person.uri(), app.uri, "a wrong code and a visit elsewhere keep the secret");
    await page.reload();
    assert.equal(await person.uri(), app.uri);
    await person.connect();
    await page.goto(`${place.server.origin}/2fa/enroll/`);
    await page.reload();
    await page.getByRole("heading", { level: 1, name: "This is already done" }).waitFor();
  });
});
