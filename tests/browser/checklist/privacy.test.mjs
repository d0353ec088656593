// Points 1 to 3 and 24 of the checklist: what leaves a page, and what it needs to work at all.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Authenticator, scan } from "../authenticator.mjs";
import { Place } from "./person.mjs";

const place = Place.open();

/** Enrols, keeps the codes, answers the challenge, and looks at the account. @param {import("./person.mjs").Person} person */
async function walkAll(person) {
  const app = await person.connect();
  const codes = await person.codes();
  await person.keepCodes();
  await person.signIn();
  await person.send(await app.freshCode());
  await person.page.waitForURL(/\/demo\/$/);
  await person.page.locator("form:has(input[value=account]) button").click();
  await person.page.waitForURL(/\/2fa\/account\/$/);
  return { app, codes };
}

/** Headers and addresses of every answer from here on. @param {import("playwright-core").Page} page */
function watch(page) {
  /** @type {import("playwright-core").Response[]} */ const answers = [];
  page.context().on("response", (response) => answers.push(response));
  const pages = () => answers.filter((answer) => answer.request().resourceType() === "document");
  return { answers, pages };
}

test("point 1: no request leaves the origin on the whole way", async () => {
  await place.newcomer({}, async (person) => {
    const { answers, pages } = watch(person.page);
    await walkAll(person);
    assert.ok(pages().length >= 6);
    assert.deepEqual([...new Set(answers.map((answer) => new URL(answer.url()).origin))], [place.server.origin]);
    // Requests without an answer are judged by the window, which complains about every foreign one.
  });
});

test("point 2: every page forbids inline code, foreign code, frames and strings as code", async () => {
  await place.newcomer({}, async (person) => {
    const { page } = person;
    const { pages } = watch(page);
    await walkAll(person);
    await page.goto(`${place.server.origin}/2fa/challenge/`);
    for (const answer of pages()) {
      const policy = answer.headers()["content-security-policy"] ?? "";
      const directives = new Map(policy.split(";").map((part) => /** @type {[string, string]} */ (part.trim().split(/ (.*)/s).slice(0, 2))));
      assert.equal(directives.get("default-src"), "'none'", answer.url());
      assert.equal(directives.get("script-src"), "'self' 'wasm-unsafe-eval'");
      assert.equal(directives.get("style-src"), "'self'");
      assert.equal(directives.get("base-uri"), "'none'");
      assert.equal(directives.get("frame-ancestors"), "'none'");
      assert.equal(directives.get("form-action")?.split(" ")[0], "'self'");
      assert.equal(directives.get("require-trusted-types-for"), "'script'");
      assert.equal(directives.get("trusted-types"), "'none'");
      assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval'? |https:|\*/);
    }
    assert.equal(await page.locator("[style], style, script:not([src]):not([type='application/json'])").count(), 0, "nothing inline");
  });
});

test("point 2: the policy is enforced by the browser", async () => {
  await place.newcomer({}, async ({ page, window }) => {
    const refused = await page.evaluate(() => {
      try {
        document.createElement("p").innerHTML = "<b>text</b>";
        return "accepted";
      } catch (error) {
        return /** @type {Error} */ (error).name;
      }
    });
    assert.equal(refused, "TypeError", "Trusted Types refuse a string as HTML");
    window.forgive(/require-trusted-types-for|TrustedHTML/);
  });
});

test("point 3: pages are not stored and send no referrer; the secret is in no address, storage or log", async () => {
  await place.newcomer({}, async (person) => {
    const { page } = person;
    const { answers, pages } = watch(page);
    const { app, codes } = await walkAll(person);
    for (const answer of pages()) {
      assert.match(answer.headers()["cache-control"] ?? "", /no-store/, answer.url());
      assert.equal(answer.headers()["referrer-policy"], "no-referrer", answer.url());
      assert.equal((await answer.request().allHeaders())["referer"], undefined);
    }
    const kept = await page.evaluate(async () => ({
      local: { ...localStorage },
      session: { ...sessionStorage },
      databases: (await indexedDB.databases()).map(({ name }) => name),
      caches: globalThis.caches ? await caches.keys() : [],
      workers: (await navigator.serviceWorker?.getRegistrations())?.length ?? 0,
    }));
    assert.deepEqual(kept, { local: {}, session: {}, databases: [], caches: [], workers: 0 });
    const elsewhere = JSON.stringify([
      answers.map((answer) => answer.url()),
      await page.context().cookies(),
      await page.evaluate(() => history.state),
      place.server.log,
    ]);
    assert.match(elsewhere, /listening/);
    for (const secret of [app.secret, ...codes, ...codes.map((code) => code.replaceAll("-", ""))]) {
      assert.ok(secret.length >= 16 && !elsewhere.toUpperCase().includes(secret));
    }
    const links = answers.map((answer) => answer.url()).filter((url) => /[?&](link|code)=/.test(url));
    assert.ok(links.length > 0, "links were followed");
    for (const link of links) assert.equal(answers.find((answer) => answer.url() === link)?.status(), 303, "and left at once");
  });
});

test("point 24: without JavaScript, the picture and form posts complete enrolment and challenge", async () => {
  await place.newcomer({ javaScriptEnabled: false }, async (person) => {
    const { page, window } = person;
    assert.equal(await page.locator("button:visible[type=button]").count(), 0, "no button that needs a script is shown");
    const app = new Authenticator(await scan(await window.picture("checklist-no-script")), place.server);
    await person.send(await app.freshCode());
    await page.locator("#codes").waitFor();
    const codes = await person.codes();
    assert.equal(new Set(codes).size, 10);
    await person.keepCodes();
    await person.signIn();
    await person.send(await app.freshCode());
    await page.waitForURL(/\/demo\/$/);
    await person.signIn();
    await page.locator("summary").click();
    await page.locator("input[name=backup_code]").fill(codes[0] ?? "");
    await page.locator("form:has(input[name=backup_code]) button").click();
    await page.waitForURL(/\/demo\/$/);
  });
});

test("point 24: a form that is forged, of another browser or sent by another site is refused", async () => {
  await place.newcomer({ javaScriptEnabled: false }, async (person) => {
    const { page } = person;
    const app = await person.app();
    const url = page.url();
    const csrf = await page.locator("input[name=csrf]").first().inputValue();
    const device = await page.locator("input[name=device]").inputValue();
    assert.match(csrf, /^[\w-]{43}$/);
    /** @type {string} */ let foreign = "";
    await place.newcomer({ javaScriptEnabled: false }, async (other) => {
      foreign = await other.page.locator("input[name=csrf]").first().inputValue();
    });
    assert.notEqual(foreign, csrf);
    const code = await app.freshCode();
    /** @param {Record<string, string>} form @param {Record<string, string>} [headers] */
    const post = async (form, headers = {}) => {
      const answer = await page.request.post(url, { form: { action: "confirm", device, code, ...form }, headers, maxRedirects: 0 });
      return { status: answer.status(), text: await answer.text() };
    };
    for (const [form, headers] of /** @type {[Record<string, string>, Record<string, string>][]} */ ([
      [{}, {}],
      [{ csrf: "x" }, {}],
      [{ csrf: foreign }, {}],
      [{ csrf }, { origin: "https://evil.example" }],
      [{ csrf }, { "sec-fetch-site": "cross-site" }],
    ])) {
      const { status, text } = await post(form, headers);
      assert.equal(status, 403);
      assert.match(text, /too old, or it was not opened here/);
    }
    const { status, text } = await post({ csrf });
    assert.equal(status, 200, "the same form with its own token counts");
    assert.match(text, /id="codes"/);
  });
});
