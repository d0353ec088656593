// Points 4 to 10 of the checklist: the QR code, the key to type, and the links that open an app.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { test } from "node:test";

import { scan } from "../authenticator.mjs";
import { Place } from "./person.mjs";

const place = Place.open();
const reader = await readFile(createRequire(import.meta.url).resolve("jsqr"), "utf8");

/** @typedef {import("./person.mjs").Options} Options */
/**
 * What jsQR reads in a PNG, and the colours in the middle of the fields of a grid laid over it.
 * @param {Buffer} png @param {number} fields on each side
 */
async function look(png, fields = 0) {
  const context = await place.browser.newContext();
  try {
    const page = await context.newPage();
    await page.addScriptTag({ content: reader });
    const sent = /** @type {const} */ ([png.toString("base64"), fields]);
    return await page.evaluate(async ([base64, fields]) => {
      const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
      const picture = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
      const { width, height } = picture;
      const paper = new OffscreenCanvas(width, height).getContext("2d");
      if (!paper) throw new Error("no canvas");
      paper.drawImage(picture, 0, 0);
      const { data } = paper.getImageData(0, 0, width, height);
      const middle = (/** @type {number} */ index, /** @type {number} */ side) => Math.floor(((index + 0.5) * side) / fields);
      const colours = Array.from({ length: fields }, (_, row) =>
        Array.from({ length: fields }, (_, column) => {
          const start = (middle(row, height) * width + middle(column, width)) * 4;
          return data.slice(start, start + 3).join(",");
        }),
      );
      const { jsQR } = /** @type {{ jsQR: (data: Uint8ClampedArray, width: number, height: number) => { data: string } | null }} */ (/** @type {unknown} */ (globalThis));
      return { colours, text: fields ? "" : (jsQR(data, width, height)?.data ?? "") };
    }, sent);
  } finally {
    await context.close();
  }
}

/** @type {[string, Options][]} */
const COLOURS = [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["forced colours, dark", { forcedColors: "active", colorScheme: "dark" }],
];

for (const [name, options] of COLOURS) {
  test(`point 4: the QR code is black on white with a margin of four modules: ${name}`, async () => {
    await place.newcomer({ ...options, deviceScaleFactor: 2 }, async ({ page }) => {
      const svg = page.locator(".qr svg").first();
      const modules = Number((await svg.getAttribute("viewBox"))?.split(" ")[2]);
      const { colours } = await look(await svg.screenshot(), modules);
      const size = modules - 8;
      for (const [row, line] of colours.entries()) {
        for (const [column, colour] of line.entries()) {
          const inside = Math.min(row, column) >= 4 && Math.max(row, column) < 4 + size;
          if (!inside) assert.equal(colour, "255,255,255", `the margin at ${column}, ${row}`);
        }
      }
      assert.deepEqual([...new Set(colours.flat())].sort(), ["0,0,0", "255,255,255"]);
      // The outermost corners of the finder patterns touch the margin: it has four modules and not more.
      for (const [column, row] of [[4, 4], [3 + size, 4], [4, 3 + size]]) assert.equal(colours[Number(row)]?.[Number(column)], "0,0,0");
    });
  });
}

/** @type {[string, Options][]} */
const SIZES = [
  ["320 px", { viewport: { width: 320, height: 640 } }],
  ["320 px, dark", { viewport: { width: 320, height: 640 }, colorScheme: "dark" }],
  ["320 px at 2×", { viewport: { width: 320, height: 640 }, deviceScaleFactor: 2 }],
  ["wide at 2×", { deviceScaleFactor: 2, forcedColors: "active", colorScheme: "dark" }],
];

for (const [name, options] of SIZES) {
  test(`point 5: zbarimg and jsQR read a picture of the whole page: ${name}`, async () => {
    await place.newcomer(options, async (person) => {
      const picture = await person.window.picture(`checklist-qr-${name.replaceAll(/\W+/g, "-")}`);
      const uri = await person.uri();
      assert.match(uri, /^otpauth:\/\/totp\/.*[?&]secret=[A-Z2-7]{32}(&|$)/);
      assert.equal(await scan(picture), uri);
      assert.equal((await look(await readFile(picture))).text, uri);
    });
  });
}

test("point 6: the QR code has one name, which points to the key; its drawing is hidden", async () => {
  await place.newcomer({}, async ({ page }) => {
    const picture = page.getByRole("img", { name: "QR code that connects your authenticator app. If you cannot scan it, use the key on this page instead." });
    assert.equal(await picture.count(), 1);
    assert.equal(await page.getByRole("img").count(), 1, "and there is no other picture");
    for (const svg of await page.locator("svg").all()) assert.equal(await svg.evaluate((svg) => svg.closest("[aria-hidden=true]") !== null), true);
    assert.match(await page.locator("main").ariaSnapshot(), /img "QR code that connects/);
  });
});

test("point 7: the key comes in groups of four and is copied without blanks", async () => {
  await place.newcomer({ permissions: ["clipboard-read", "clipboard-write"] }, async (person) => {
    const { page } = person;
    const app = await person.app();
    const groups = await page.locator("#key span").allTextContents();
    assert.equal(groups.length, 8);
    for (const group of groups) assert.match(group, /^[A-Z2-7]{4}$/);
    assert.equal(groups.join(""), app.secret);
    const gaps = await page.locator("#key span").evaluateAll((spans) =>
      spans.slice(1).map((span, index) => {
        const [before, here] = [/** @type {Element} */ (spans[index]).getBoundingClientRect(), span.getBoundingClientRect()];
        return here.top >= before.bottom - 1 || here.left - before.right >= 4;
      }),
    );
    assert.ok(gaps.every(Boolean), "the groups are seen apart");
    await page.getByRole("button", { name: "Copy key" }).click();
    await page.getByText("The key has been copied.").waitFor({ state: "attached" });
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), app.secret);
    await page.locator("#key").selectText();
    await page.keyboard.press("ControlOrMeta+C");
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), app.secret, "so it is when copied by hand");
  });
});

test("point 7: the key runs from left to right in a page that runs from right to left", async () => {
  await place.newcomer({ locale: "ar" }, async ({ page }) => {
    // Whatever language the page has: the direction is what counts here.
    await page.evaluate(() => (document.documentElement.dir = "rtl"));
    assert.equal(await page.locator("h1").evaluate((heading) => getComputedStyle(heading).direction), "rtl");
    assert.equal(await page.locator("#key").evaluate((key) => getComputedStyle(key).direction), "ltr");
    const boxes = await page.locator("#key span").evaluateAll((spans) => spans.map((span) => span.getBoundingClientRect().toJSON()));
    for (const [index, box] of boxes.slice(1).entries()) {
      const before = boxes[index];
      assert.ok(box.top > before.top || box.left > before.left, "each group is right of the one before or below it");
    }
    assert.equal(await page.locator("input[name=code]").evaluate((field) => getComputedStyle(field).direction), "ltr");
  });
});

test("point 8: copying is announced", async () => {
  await place.newcomer({ permissions: ["clipboard-read", "clipboard-write"] }, async ({ page }) => {
    const status = page.getByRole("status").filter({ hasText: "The key has been copied." });
    assert.equal(await status.count(), 0);
    await page.getByRole("button", { name: "Copy key" }).click();
    await status.waitFor({ state: "attached" });
  });
});

test("point 8: without a clipboard the key is selected, and that is announced", async () => {
  await place.newcomer({}, async (person) => {
    const { page } = person;
    await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
    await page.getByRole("button", { name: "Copy key" }).click();
    await page.getByRole("status").filter({ hasText: "The text is selected" }).waitFor({ state: "attached" });
    assert.equal((await page.evaluate(() => getSelection()?.toString()))?.replaceAll(/\s/g, ""), (await person.app()).secret);
  });
});

test("point 9: where people touch, the link to the app comes before the picture", async () => {
  const link = "a[href^='otpauth:']";
  const above = async (/** @type {import("playwright-core").Page} */ page) => {
    const [link_, picture] = await Promise.all([page.locator(link).boundingBox(), page.locator(".qr").first().boundingBox()]);
    assert.ok(link_ && picture);
    return link_.y + link_.height <= picture.y;
  };
  await place.newcomer({ viewport: { width: 390, height: 800 }, hasTouch: true, isMobile: true }, async ({ page }) => {
    assert.equal(await above(page), true);
    const inOrder = await page.evaluate((link) => {
      const [a, b] = [document.querySelector(link), document.querySelector(".qr")];
      return Boolean(a && b && a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING);
    }, link);
    assert.equal(inOrder, true, "also to those who listen");
  });
  await place.newcomer({}, async ({ page }) => assert.equal(await above(page), false));
});

test("point 10: Apple's app has its own link, with the domain as the issuer", async () => {
  await place.newcomer({}, async (person) => {
    const links = person.page.locator("a[href^='apple-otpauth:']");
    assert.equal(await links.count(), 1);
    const apple = new URL((await links.getAttribute("href")) ?? "");
    const plain = new URL(await person.uri());
    assert.equal(apple.searchParams.get("issuer"), new URL(place.server.origin).hostname);
    assert.equal(apple.searchParams.get("secret"), plain.searchParams.get("secret"));
    assert.notEqual(plain.searchParams.get("issuer"), apple.searchParams.get("issuer"));
  });
});
