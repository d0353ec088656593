// The package's custom elements in headless Chromium, under the policy of Sidekey's own pages: alone, and around HTML that a
// server has rendered.

import assert from "node:assert/strict";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { qrPng, qrSvg } from "../../wasm/npm/index.js";
import { virtualAuthenticator } from "../../wasm/npm/testing/index.js";
import { assertAccessible } from "./accessibility.mjs";
import { scan } from "./authenticator.mjs";
import { launch, Window } from "./browser.mjs";
import { POLICY, Site } from "./site.mjs";

const SECRET = "RNIYTDTUK7NVURTGNIKU5YTZ6RPKOP5P";
const URI = `otpauth://totp/Example:ann@example.com?secret=${SECRET}&issuer=Example&algorithm=SHA1&digits=6&period=30`;
const OTHER_URI = URI.replace(SECRET, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
const CODES = Array.from({ length: 10 }, (_, n) => `WR3Z-7MP4-WJCD-PYQ${n}`);
const TOKENS = { access_token: "access", refresh_token: "refresh", token_type: "Bearer", expires_in: 900 };
const SETUP = { device_id: "d1", secret: SECRET, provisioning_uri: URI, qr_code_base64: "data:image/png;base64,", qr_code_svg: "", expires_in: 600 };

/** The drawing of the server, as its pages hold it. @param {string} uri */
const serverSvg = (uri) => qrSvg(uri).replace("<svg ", '<svg role="img" aria-label="QR code for your app" ');

/** @type {Site} */ let site;
/** @type {import("playwright-core").Browser} */ let browser;

before(async () => {
  site = await Site.start();
  site.pages["/style.css"] = ":root { color-scheme: light dark } body { margin: 1rem; font-family: sans-serif; background: light-dark(#fff, #111); color: light-dark(#111, #fff) }";
  site.pages["/form.js"] = "import '/package/elements/auto.js';";
  site.pages["/enroll.js"] = `
    import "/package/elements/auto.js";
    const element = document.querySelector("sidekey-enroll");
    window.told = [];
    for (const name of ["step", "preflight", "enrolled", "done", "error"]) {
      element.addEventListener("sidekey-" + name, ({ type, detail }) => {
        window.told.push({ type, detail: detail.error ? { code: detail.error.code } : detail });
      });
    }
    element.token = () => "token-of-ann";`;
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await site?.stop();
});

/** @param {string} body @param {{ script?: string, attributes?: string }} [more] */
const html = (body, { script = "/form.js", attributes = 'lang="en"' } = {}) =>
  `<!doctype html><html ${attributes}><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Test</title>
  <link rel="icon" href="data:,"><link rel="stylesheet" href="/style.css"><script type="module" src="${script}"></script></head><body><main><h1>Test</h1>${body}</main></body></html>`;

/**
 * Shows a page and hands its window to the test; afterwards, nothing may have been complained about.
 * @param {string} page
 * @param {(window: Window, page: import("playwright-core").Page) => Promise<void>} walk
 * @param {import("playwright-core").BrowserContextOptions} [options]
 */
async function shown(page, walk, options) {
  site.pages["/"] = page;
  const window = await Window.open(browser, site.origin, options);
  try {
    await window.page.goto(site.origin);
    await walk(window, window.page);
    window.check();
  } finally {
    await window.close();
  }
}

/** What an API that takes every code but 000000 answers. @param {Partial<typeof SETUP>} [setup] */
function serveApi(setup = {}) {
  site.endpoints["POST /2fa/setup/"] = ({ headers }) => {
    assert.equal(headers.authorization, "Bearer token-of-ann");
    return { body: { ...SETUP, ...setup } };
  };
  site.endpoints["POST /2fa/setup/confirm/"] = ({ body }) =>
    body.code === "000000"
      ? { status: 400, body: { code: "INVALID_CODE", detail: "The code is wrong." } }
      : { body: { message: "ok", ...TOKENS, backup_codes: CODES, backup_codes_warning: "Keep them.", sent: body } };
}

/** @param {import("playwright-core").Page} page */
const told = (page) => page.evaluate(() => /** @type {{ told: { type: string, detail: any }[] }} */ (/** @type {unknown} */ (globalThis)).told);

/** @param {import("playwright-core").Page} page */
const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

/** Every way in which a page may be seen. @type {[string, import("playwright-core").BrowserContextOptions][]} */
const LOOKS = [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["forced colours", { forcedColors: "active", colorScheme: "dark" }],
  ["320 px", { viewport: { width: 320, height: 640 } }],
  ["320 px dark at 2x", { viewport: { width: 320, height: 640 }, deviceScaleFactor: 2, colorScheme: "dark" }],
];

for (const [look, options] of LOOKS) {
  const name = look.replaceAll(/[ :]/g, "-");

  test(`a QR code can be scanned: ${look}`, async () => {
    for (const [kind, content] of [["own", ""], ["server", serverSvg(URI)]]) {
      await shown(html(`<sidekey-qr uri="${URI.replaceAll("&", "&amp;")}">${content}</sidekey-qr>`), async (window, page) => {
        await page.waitForFunction(() => customElements.get("sidekey-qr"));
        assert.equal(await scan(await window.picture(`element-qr-${kind}-${name}`)), URI);
        assert.equal(await page.locator("sidekey-qr").evaluate((qr) => /** @type {any} */ (qr).check()), "same");
        assert.equal(await overflow(page), 0);
        const frame = await page.locator("sidekey-qr [part=frame]").evaluate((element) => getComputedStyle(element).backgroundColor);
        assert.equal(frame, "rgb(255, 255, 255)");
        await assertAccessible(page, kind);
      }, options);
    }
  });

  test(`enrolment alone is accessible and can be scanned: ${look}`, async () => {
    serveApi();
    await shown(html("<sidekey-enroll issuer='Example'></sidekey-enroll>", { script: "/enroll.js" }), async (window, page) => {
      await page.getByRole("heading", { name: "Connect an authenticator app" }).waitFor();
      assert.equal(await scan(await window.picture(`element-enroll-${name}`)), URI);
      assert.equal(await overflow(page), 0);
      await assertAccessible(page, "setup");
      await page.getByLabel("Code from your app").fill("123456");
      await page.getByRole("button", { name: "Connect" }).click();
      await page.getByRole("heading", { name: "Keep your backup codes" }).waitFor();
      await window.picture(`element-codes-${name}`);
      assert.equal(await overflow(page), 0);
      await assertAccessible(page, "codes");
    }, options);
  });
}

test("a QR code has one name, and nothing inside it is read", async () => {
  await shown(html(`<sidekey-qr id="own" uri="${URI}"></sidekey-qr><sidekey-qr id="given" uri="${URI}">${serverSvg(URI)}</sidekey-qr>`), async (_, page) => {
    await page.locator("#own svg").waitFor();
    assert.equal((await page.locator("#own").ariaSnapshot()).trim(), '- img "QR code that connects your authenticator app. If you cannot scan it, use the key on this page instead."');
    assert.equal((await page.locator("#given").ariaSnapshot()).trim(), '- img "QR code for your app"');
  });
});

test("a QR code is drawn anew for another text, and one that does not fit its text is found out", async () => {
  await shown(html(`<sidekey-qr id="own" uri="${URI}"></sidekey-qr><sidekey-qr id="wrong" uri="${URI}">${serverSvg(OTHER_URI)}</sidekey-qr>`), async (_, page) => {
    const check = (/** @type {string} */ id) => page.locator(id).evaluate((qr) => /** @type {any} */ (qr).check());
    assert.equal(await check("#wrong"), "differs");
    await page.locator("#own").evaluate((qr, uri) => qr.setAttribute("uri", uri), OTHER_URI);
    assert.equal(await check("#own"), "same");
    assert.equal((await virtualAuthenticator(page.locator("#own"))).secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
  });
});

const serverForm = `
  <form method="post" action="/send"><sidekey-code-input failures="1" server-time="${Date.now()}">
    <label for="c">Your code</label><p id="hint">Six digits</p>
    <input id="c" name="code" aria-describedby="hint" maxlength="6" pattern="[0-9]{6}" required>
  </sidekey-code-input><button>Send</button></form>`;

test("a code input takes the server's field, and sends the code however it was typed", async () => {
  for (const typed of ["123 456", "123-456", "١٢٣٤٥٦", "۱۲۳۴۵۶", "１２３４５６", "\u200e123456 "]) {
    site.posted.length = 0;
    site.pages["/send"] = html("sent");
    await shown(html(serverForm), async (_, page) => {
      const field = page.getByLabel("Your code");
      await page.locator("sidekey-code-input [part=ring]").waitFor();
      await field.focus();
      await page.keyboard.insertText(typed);
      await page.keyboard.press("Enter");
      await page.getByText("sent").waitFor();
      assert.deepEqual(site.posted, [{ path: "/send", fields: { code: "123456" } }], typed);
    });
  }
});

test("a code input is one field that phones and password managers know", async () => {
  await shown(html(`${serverForm}<form><sidekey-code-input></sidekey-code-input></form>`), async (_, page) => {
    await page.getByLabel("Code from your app").waitFor();
    assert.equal(await page.getByRole("textbox").count(), 2);
    for (const field of await page.getByRole("textbox").all()) {
      const read = await field.evaluate((element) => {
        const input = /** @type {HTMLInputElement} */ (element);
        return { type: input.type, mode: input.inputMode, auto: input.autocomplete, short: input.maxLength >= 0 && input.maxLength < 32, pattern: input.pattern, dir: input.dir };
      });
      assert.deepEqual(read, { type: "text", mode: "numeric", auto: "one-time-code", short: false, pattern: "", dir: "ltr" });
    }
    const ring = page.locator("sidekey-code-input [part=ring]").first();
    assert.equal(await ring.getAttribute("aria-hidden"), "true");
    await assertAccessible(page);
  });
});

test("an error is tied to the field, a second failure mentions the clock", async () => {
  await shown(html(serverForm), async (_, page) => {
    const input = page.locator("sidekey-code-input");
    await input.locator("[part=ring]").waitFor();
    const fail = () =>
      input.evaluate(async (element) => {
        const { SidekeyError } = await import(/** @type {string} */ ("/package/client/index.js"));
        /** @type {any} */ (element).fail(new SidekeyError("INVALID_CODE", { problem: { attempts_remaining: 3 } }));
      });
    await fail();
    const field = page.getByLabel("Your code");
    assert.equal(await field.getAttribute("aria-invalid"), "true");
    assert.match(await field.evaluate((element) => (element.getAttribute("aria-describedby") ?? "").split(" ").map((id) => document.getElementById(id)?.textContent).join("|")), /^That code is wrong or was used before.* You have 3 attempts left\.\|Six digits$/);
    assert.ok(await field.evaluate((element) => element === document.activeElement));
    await page.getByText("Codes depend on the time").waitFor();
    await assertAccessible(page);
    await input.evaluate((element) => /** @type {any} */ (element).clear());
    assert.equal(await field.getAttribute("aria-invalid"), null);
    assert.equal(await field.getAttribute("aria-describedby"), "hint");
  });
});

test("a wait is counted down and holds the form back", async () => {
  site.posted.length = 0;
  await shown(html(serverForm), async (_, page) => {
    await page.locator("sidekey-code-input [part=ring]").waitFor();
    await page.clock.install();
    await page.locator("sidekey-code-input").evaluate((element) => /** @type {any} */ (element).hold(45));
    const wait = page.locator("sidekey-code-input [part=wait]");
    assert.equal(await wait.textContent(), "You can try again in 0:45");
    await page.clock.runFor(10_000);
    assert.equal(await wait.textContent(), "You can try again in 0:35");
    await page.getByLabel("Your code").fill("123456");
    await page.keyboard.press("Enter");
    assert.equal(site.posted.length, 0);
    assert.equal(await page.getByRole("button", { name: "Send" }).getAttribute("aria-disabled"), "true");
    await page.clock.runFor(36_000);
    assert.ok(await wait.isHidden());
    assert.equal(await page.locator("sidekey-code-input [role=status]").textContent(), "You can try again now.");
    assert.equal(await page.getByRole("button", { name: "Send" }).getAttribute("aria-disabled"), null);
  });
});

test("the ring shows the server's time, and stands still for those who want it", async () => {
  const page = (/** @type {string} */ time) => html(`<sidekey-code-input server-time="${time}"></sidekey-code-input>`);
  const ahead = Math.floor(Date.now() / 30_000) * 30_000 + 3_600_000 + 5_000;
  await shown(page(String(ahead)), async (_, page) => {
    const ring = page.locator("[part=ring]");
    await ring.waitFor();
    const left = Number(await ring.textContent());
    assert.ok(left >= 15 && left <= 25, `${left} seconds are left by a clock that began with 25`);
    assert.equal(await page.locator("[part=ring-hand]").evaluate((hand) => getComputedStyle(hand).transitionDuration), "0s");
  }, { reducedMotion: "reduce" });
});

test("enrolment by keyboard alone: a wrong code, then the right one, and the codes are kept", async () => {
  serveApi();
  await shown(html("<sidekey-enroll issuer='Example shop' account='ann@example.com'></sidekey-enroll>", { script: "/enroll.js" }), async (window, page) => {
    const app = await virtualAuthenticator(page);
    assert.equal(app.secret, SECRET);
    const tabTo = async (/** @type {string} */ name) => {
      for (let presses = 0; presses < 12; presses += 1) {
        await page.keyboard.press("Tab");
        const at = await page.evaluate(() => {
          let active = document.activeElement;
          while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
          const root = /** @type {ShadowRoot} */ (active?.getRootNode());
          return (active?.id && root.querySelector(`label[for="${active.id}"]`)?.textContent) || active?.textContent;
        });
        if (at === name) return;
      }
      assert.fail(`${name} cannot be reached by the keyboard`);
    };
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await tabTo("Copy key");
    await page.keyboard.press("Enter");
    await page.getByText("The key has been copied.").waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), SECRET);
    await tabTo("Open in an authenticator app");
    await tabTo("Code from your app");
    window.expect("400 /2fa/setup/confirm/");
    await page.keyboard.type("000 000");
    await page.keyboard.press("Enter");
    await page.getByText("That code is wrong").waitFor();
    assert.equal((await virtualAuthenticator(page)).secret, SECRET, "a wrong code keeps the key");
    await page.keyboard.type("123-456");
    await page.keyboard.press("Enter");
    const heading = page.getByRole("heading", { name: "Keep your backup codes" });
    await heading.waitFor();
    assert.ok(await heading.evaluate((element) => /** @type {ShadowRoot} */ (element.getRootNode()).activeElement === element), "the heading has the focus");
    assert.deepEqual(await page.getByRole("list", { name: "Your backup codes" }).getByRole("listitem").allTextContents(), CODES);
    await tabTo("Copy");
    await page.keyboard.press("Enter");
    await page.getByText("The backup codes have been copied.").waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), CODES.join("\n"));
    await tabTo("Download");
    const download = page.waitForEvent("download");
    await page.keyboard.press("Enter");
    assert.equal((await download).suggestedFilename(), "example-shop-backup-codes.txt");
    const file = await readFile(await (await download).path(), "utf8");
    assert.match(file, /^Backup codes for Example shop\r\nAccount: ann@example\.com\r\nMade on /);
    for (const code of CODES) assert.ok(file.includes(`\r\n${code}\r\n`));
    await tabTo("Continue");
    await page.keyboard.press("Enter");
    await page.getByText("Save the codes first").waitFor();
    await page.keyboard.press("Space");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Your device is connected" }).waitFor();
    const events = (await told(page)).map(({ type, detail }) => (type === "sidekey-step" ? `step ${detail.step}` : type));
    assert.deepEqual(events, ["step loading", "step setup", "sidekey-preflight", "sidekey-enrolled", "step codes", "step done", "sidekey-done"]);
    const [{ detail }] = (await told(page)).filter(({ type }) => type === "sidekey-enrolled");
    assert.deepEqual(detail.sent, { device_id: "d1", code: "123456" });
    assert.equal(detail.access_token, "access");
  });
});

test("without a clipboard the key and the codes are selected instead", async () => {
  serveApi();
  await shown(html("<sidekey-enroll></sidekey-enroll>", { script: "/enroll.js" }), async (_, page) => {
    await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
    await page.getByRole("button", { name: "Copy key" }).click();
    await page.getByText("Copying is not possible here").waitFor();
    assert.equal((await page.evaluate(() => getSelection()?.toString()))?.replace(/\s/g, ""), SECRET);
  });
});

test("paper gets the backup codes and nothing else", async () => {
  serveApi();
  await shown(html("<sidekey-enroll issuer='Example'></sidekey-enroll>", { script: "/enroll.js" }), async (window, page) => {
    await page.getByLabel("Code from your app").fill("123456");
    await page.getByRole("button", { name: "Connect" }).click();
    await page.evaluate(() => (globalThis.print = () => {}));
    await page.getByRole("button", { name: "Print" }).click();
    await page.emulateMedia({ media: "print", colorScheme: "dark" });
    await window.picture("element-print");
    assert.ok(await page.locator("main").isHidden());
    assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), "rgb(255, 255, 255)");
    assert.deepEqual(await page.locator(".sidekey-sheet li:visible").allTextContents(), CODES);
    await page.emulateMedia({ media: "screen" });
    assert.ok(await page.locator(".sidekey-sheet").isHidden());
    await page.evaluate(() => dispatchEvent(new Event("afterprint")));
    assert.equal(await page.locator(".sidekey-sheet").count(), 0);
    assert.ok(await page.locator("main").isVisible());
  });
});

test("on a phone the link comes before the picture, and Apple's devices get theirs", async () => {
  serveApi();
  const phone = { viewport: { width: 390, height: 800 }, hasTouch: true, isMobile: true, userAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)" };
  await shown(html("<sidekey-enroll></sidekey-enroll>", { script: "/enroll.js" }), async (window, page) => {
    const link = page.getByRole("link", { name: "Open in an authenticator app" });
    await link.waitFor();
    assert.equal(await link.getAttribute("href"), URI);
    const apple = new URL((await page.getByRole("link", { name: "Open in Apple Passwords" }).getAttribute("href")) ?? "");
    assert.deepEqual([apple.protocol, apple.searchParams.get("issuer"), apple.searchParams.get("secret")], ["apple-otpauth:", "127.0.0.1", SECRET]);
    const [above, below] = await Promise.all([link.boundingBox(), page.locator("sidekey-qr").boundingBox()]);
    assert.ok((above?.y ?? 0) < (below?.y ?? 0));
    await window.picture("element-enroll-phone");
    await assertAccessible(page);
  }, phone);
});

test("a clock that is off is told, with a meter; one that is right is not a warning", async () => {
  for (const [offset, warning] of /** @type {[number, RegExp | null][]} */ ([[0, null], [-120_000, /2 minutes ahead/], [90_000, /90 seconds behind/]])) {
    serveApi();
    const setup = site.endpoints["POST /2fa/setup/"];
    site.endpoints["POST /2fa/setup/"] = async (request) => ({ ...(await setup?.(request)), body: SETUP, headers: { Date: new Date(Date.now() + offset).toUTCString() } });
    await shown(html("<sidekey-enroll></sidekey-enroll>", { script: "/enroll.js" }), async (window, page) => {
      const meter = page.getByRole("meter", { name: "Clock of this device" });
      await meter.waitFor();
      const level = await meter.evaluate((element) => /** @type {HTMLMeterElement} */ (element).value);
      assert.ok(warning ? level === 0 : level >= 58, `${level} of 60`);
      const warnings = await page.locator("[part=warning]").allTextContents();
      assert.equal(warnings.length, warning ? 1 : 0);
      if (warning) assert.match(warnings[0] ?? "", warning);
      if (warning) await window.picture(`element-clock-${offset}`);
      await assertAccessible(page);
    });
  }
});

test("an expired key is replaced, and other ends are told with a way on", async () => {
  serveApi();
  /** @type {object[]} */
  const asked = [];
  const setup = site.endpoints["POST /2fa/setup/"];
  site.endpoints["POST /2fa/setup/"] = (request) => (asked.push(request.body), /** @type {import("./site.mjs").Endpoint} */ (setup)(request));
  site.endpoints["POST /2fa/setup/confirm/"] = () => ({ status: 400, body: { code: "SETUP_EXPIRED", detail: "Over." } });
  await shown(html("<sidekey-enroll device-name='Phone'></sidekey-enroll>", { script: "/enroll.js" }), async (window, page) => {
    window.expect("400 /2fa/setup/confirm/", "401 /2fa/setup/confirm/");
    const send = async () => {
      await page.getByLabel("Code from your app").fill("123456");
      await page.getByRole("button", { name: "Connect" }).click();
    };
    await send();
    await page.getByRole("heading", { name: "This QR code has expired" }).waitFor();
    await page.getByRole("button", { name: "Show a new QR code" }).click();
    await page.getByLabel("Code from your app").waitFor();
    assert.deepEqual(asked, [{ device_name: "Phone" }, { device_name: "Phone", restart: true }]);
    site.endpoints["POST /2fa/setup/confirm/"] = () => ({ status: 401, body: { code: "2FA_REQUIRED", detail: "No.", max_age: 600 } });
    await send();
    await page.getByText("This needs a fresh proof that it is you").waitFor();
    assert.deepEqual((await told(page)).filter(({ type }) => type === "sidekey-error"), [{ type: "sidekey-error", detail: { code: "2FA_REQUIRED" } }]);
    await assertAccessible(page);
  });
});

test("two codes in a row are asked for, and sent", async () => {
  serveApi();
  const confirm = site.endpoints["POST /2fa/setup/confirm/"];
  site.endpoints["POST /2fa/setup/confirm/"] = (request) =>
    request.body.next_code ? /** @type {import("./site.mjs").Endpoint} */ (confirm)(request) : { status: 400, body: { code: "NEXT_CODE_REQUIRED", detail: "Two." } };
  await shown(html("<sidekey-enroll></sidekey-enroll>", { script: "/enroll.js" }), async (window, page) => {
    window.expect("400 /2fa/setup/confirm/");
    await page.getByLabel("Code from your app").fill("111 111");
    await page.getByRole("button", { name: "Connect" }).click();
    await page.getByLabel("The code that follows").waitFor();
    await assertAccessible(page);
    await page.getByRole("button", { name: "Connect" }).click();
    await page.getByText("Type the next code too").waitFor();
    await page.getByLabel("The code that follows").fill("222-222");
    await page.getByRole("button", { name: "Connect" }).click();
    await page.getByRole("heading", { name: "Keep your backup codes" }).waitFor();
    const [{ detail }] = (await told(page)).filter(({ type }) => type === "sidekey-enrolled");
    assert.deepEqual(detail.sent, { device_id: "d1", code: "111111", next_code: "222222" });
  });
});

const serverPage = (/** @type {string} */ uri, /** @type {number} */ time) => `
  <sidekey-enroll issuer="Example" server-time="${new Date(time).toISOString()}">
    <script type="application/json">{"enroll.key-copied": "Schlüssel kopiert."}</script>
    <sidekey-qr uri="${URI}">${serverSvg(uri)}</sidekey-qr>
    <p><code id="key" data-sidekey-key>${SECRET.replace(/(.{4})/g, "$1 ").trim()}</code> <button type="button" hidden data-sidekey-copy="key">Copy</button></p>
    <div data-sidekey-preflight></div>
    <form method="post" action="/send"><sidekey-code-input><label for="c">Code</label><input id="c" name="code"></sidekey-code-input><button>Connect</button></form>
  </sidekey-enroll>`;

test("around a server's page, it adds copying and the checks, in the page's own words", async () => {
  await shown(html(serverPage(URI, Date.now())), async (_, page) => {
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.getByRole("button", { name: "Copy" }).click();
    await page.getByText("Schlüssel kopiert.").waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), SECRET);
    await page.getByText("The QR code was read back and holds this key.").waitFor();
    assert.equal(await page.locator("[part=warning]").count(), 0);
    await assertAccessible(page);
  });
  await shown(html(serverPage(OTHER_URI, Date.now() - 3_600_000)), async (_, page) => {
    await page.getByText("The QR code on this page does not hold the key").waitFor();
    await page.getByText("60 minutes ahead").waitFor();
  });
});

test("without scripts a server's page is what it was", async () => {
  site.posted.length = 0;
  site.pages["/send"] = html("sent");
  await shown(html(serverPage(URI, Date.now())), async (window, page) => {
    assert.equal(await scan(await window.picture("element-no-script")), URI);
    await page.getByRole("textbox", { name: "Code" }).fill("123456");
    await page.getByRole("button", { name: "Connect" }).click();
    await page.getByText("sent").waitFor();
    assert.deepEqual(site.posted.at(-1)?.fields, { code: "123456" });
  }, { javaScriptEnabled: false });
});

test("in a page from right to left, key and codes stay from left to right", async () => {
  serveApi();
  await shown(html("<sidekey-enroll></sidekey-enroll>", { script: "/enroll.js", attributes: 'lang="ar" dir="rtl"' }), async (window, page) => {
    const key = page.locator("[part=key]");
    await key.waitFor();
    assert.equal(await key.evaluate((element) => getComputedStyle(element).direction), "ltr");
    const groups = await key.locator("span").evaluateAll((spans) => spans.map((span) => ({ text: span.textContent, x: span.getBoundingClientRect().x, y: span.getBoundingClientRect().y })));
    assert.deepEqual(groups.map(({ text }) => text?.length), Array(8).fill(4));
    for (const [n, { x, y }] of groups.entries()) assert.ok(n === 0 || y > (groups[n - 1]?.y ?? 0) || x > (groups[n - 1]?.x ?? 0));
    assert.equal(await page.getByLabel("Code from your app").evaluate((input) => getComputedStyle(input).direction), "ltr");
    assert.equal(await scan(await window.picture("element-enroll-rtl")), URI);
    assert.equal(await overflow(page), 0);
    await assertAccessible(page);
  });
});

test("where WebAssembly is forbidden, the server's picture and the code as typed still do", async () => {
  const png = Buffer.from(qrPng(URI)).toString("base64");
  serveApi({ qr_code_base64: `data:image/png;base64,${png}` });
  site.policy = POLICY.replace(" 'wasm-unsafe-eval'", "");
  try {
    site.pages["/"] = html("<sidekey-enroll></sidekey-enroll>", { script: "/enroll.js" });
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(site.origin);
    await page.getByLabel("Code from your app").fill("123 456");
    const path = join(tmpdir(), `sidekey-no-wasm-${process.pid}.png`);
    await page.locator("sidekey-enroll").screenshot({ path });
    assert.equal(await scan(path), URI);
    await rm(path);
    assert.equal((await page.locator("[part=key]").textContent())?.replaceAll(" ", ""), SECRET);
    await page.getByRole("button", { name: "Connect" }).click();
    await page.getByRole("heading", { name: "Keep your backup codes" }).waitFor();
    await context.close();
  } finally {
    site.policy = POLICY;
  }
});
