// What the package's custom elements are given by others, at any time: a token while they ask with another one, a server's second field.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch, Window } from "./browser.mjs";
import { Site } from "./site.mjs";

const SECRET = "RNIYTDTUK7NVURTGNIKU5YTZ6RPKOP5P";
const SETUP = { device_id: "d1", secret: SECRET, provisioning_uri: `otpauth://totp/Example:ann?secret=${SECRET}&issuer=Example`, qr_code_base64: "", qr_code_svg: "", expires_in: 600 };

/** @typedef {HTMLElement & { token: unknown, step: string | null }} Enroll */
/** @type {Site} */ let site;
/** @type {import("playwright-core").Browser} */ let browser;

before(async () => {
  site = await Site.start();
  site.pages["/elements.js"] = "import '/package/elements/auto.js';";
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await site?.stop();
});

/** @param {string} body @param {(window: Window, page: import("playwright-core").Page) => Promise<void>} walk */
async function shown(body, walk) {
  site.pages["/"] = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Test</title><link rel="icon" href="data:,">
    <script type="module" src="/elements.js"></script></head><body><main>${body}</main></body></html>`;
  const window = await Window.open(browser, site.origin);
  try {
    await window.page.goto(site.origin);
    await window.page.waitForFunction(() => customElements.get("sidekey-enroll"));
    await walk(window, window.page);
    window.check();
  } finally {
    await window.close();
  }
}

/** An API whose first answer waits until it is let go. @param {number} status of that answer */
function slowApi(status) {
  /** @type {string[]} */ const asked = [];
  /** @type {() => void} */ let letGo = () => {};
  /** @type {Promise<void>} */ const held = new Promise((resolve) => (letGo = resolve));
  site.endpoints["POST /2fa/setup/"] = async ({ headers }) => {
    asked.push(String(headers.authorization));
    if (asked.length > 1) return { body: SETUP };
    await held;
    return { status, body: status < 400 ? SETUP : { code: "AUTH_REQUIRED", detail: "No." } };
  };
  return { asked, letGo };
}

/** @param {import("playwright-core").Page} page @param {string | null} token */
const give = (page, token) => page.locator("sidekey-enroll").evaluate((element, token) => (/** @type {Enroll} */ (element).token = token && (() => token)), token);

for (const [answer, status] of /** @type {const} */ ([["its key", 200], ["a refusal", 401]])) {
  test(`a token that comes while another one is asked with is the one that counts, whether that gets ${answer}`, async () => {
    const { asked, letGo } = slowApi(status);
    await shown("<sidekey-enroll></sidekey-enroll>", async (window, page) => {
      if (status >= 400) window.expect(`${status} /2fa/setup/`);
      await give(page, "old");
      await page.getByText("Loading").waitFor();
      await give(page, "new");
      letGo();
      await page.getByLabel("Code from your app").waitFor();
      assert.deepEqual(asked, ["Bearer old", "Bearer new"]);
      assert.equal(await page.getByRole("alert").filter({ hasText: "signed in" }).count(), 0);
    });
  });
}

test("a token that is taken back while it is asked with leaves nothing behind", async () => {
  const { letGo } = slowApi(200);
  await shown("<sidekey-enroll></sidekey-enroll>", async (_, page) => {
    await give(page, "old");
    await page.getByText("Loading").waitFor();
    await give(page, null);
    letGo();
    await page.getByText("Loading").waitFor({ state: "detached" });
    assert.equal(await page.locator("sidekey-enroll").evaluate((element) => /** @type {Enroll} */ (element).step), null);
  });
});

test("a password manager fills the server's first field for a code and not the next one too", async () => {
  const fields = `<label for="c">Code</label><input id="c" name="code" autocomplete="one-time-code"><label for="n">Next</label><input id="n" name="next_code" autocomplete="off" maxlength="6">`;
  await shown(`<form method="post"><sidekey-code-input next>${fields}</sidekey-code-input><button>Send</button></form>`, async (_, page) => {
    const read = (/** @type {string} */ id) => page.locator(id).evaluate((field) => {
      const { autocomplete, inputMode, maxLength, dir } = /** @type {HTMLInputElement} */ (field);
      return { autocomplete, inputMode, isShort: maxLength >= 0 && maxLength < 32, dir };
    });
    const field = { autocomplete: "one-time-code", inputMode: "numeric", isShort: false, dir: "ltr" };
    assert.deepEqual(await read("#c"), field);
    assert.deepEqual(await read("#n"), { ...field, autocomplete: "off" });
  });
});
