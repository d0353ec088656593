// Point 20 of the checklist: the countdown. The server's clock stays as it is here, for its `Date` header does not follow the one of the
// development mode.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Place } from "./person.mjs";

const place = Place.open();
/** Less than half of what the device's clock is off by within a step. */
const SLACK_S = 4;

test("point 20: the countdown is hidden from assistive technology and counts by the server's time", async () => {
  await place.newcomer({}, async ({ page, server }) => {
    // A device whose clock is wrong by an hour and eleven seconds.
    await page.clock.install({ time: new Date(Date.now() - 3_611_000) });
    await page.reload();
    const ring = page.locator("[aria-hidden=true]").filter({ hasText: /^\d+$/ }).first();
    await ring.waitFor();
    await page.getByText(/clock of this device is/).locator("visible=true").first().waitFor();
    // By the device's own clock it would be eleven seconds off for ever.
    const isRight = async () => {
      const before = await server.now();
      const shown = Number(await ring.textContent());
      const after = await server.now();
      // The page tells whole seconds, and a busy machine takes some to show it.
      const near = Array.from({ length: after - before + 1 + 2 * SLACK_S }, (_, index) => 30 - ((before - SLACK_S + index) % 30));
      return near.includes(shown);
    };
    const tries = 500;
    for (let round = 0; !(await isRight()); round += 1) assert.ok(round < tries, `the ring does not come to the server's time: ${await ring.textContent()} at ${await server.now()}`);
  });
});

test("point 20: nothing moves for those who want it still", async () => {
  await place.newcomer({ reducedMotion: "reduce" }, async ({ page }) => {
    await page.locator("[aria-hidden=true]").filter({ hasText: /^\d+$/ }).first().waitFor();
    const moving = await page.evaluate(() => {
      const all = [...document.querySelectorAll("*")].flatMap((element) => [element, ...(element.shadowRoot?.querySelectorAll("*") ?? [])]);
      return all.filter((element) => {
        const { transitionDuration, animationName } = getComputedStyle(element);
        return transitionDuration.split(", ").some((duration) => duration !== "0s") || animationName !== "none";
      }).map((element) => element.outerHTML.slice(0, 120));
    });
    assert.deepEqual(moving, []);
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
  });
});
