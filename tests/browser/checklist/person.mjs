// A person before the pages, in any language: the way to each page by the structure of the forms, not by their words.

import { after, before } from "node:test";

import { Authenticator } from "../authenticator.mjs";
import { launch, Window } from "../browser.mjs";
import { Server } from "../server.mjs";

/** @typedef {import("playwright-core").BrowserContextOptions} Options */

/** The one field for a code of the app. */
export const CODE = "input[name=code]:visible";

/** A server and a browser for the tests of one file. */
export class Place {
  /** @type {Server} */ server = /** @type {any} */ (undefined);
  /** @type {import("playwright-core").Browser} */ browser = /** @type {any} */ (undefined);
  #accounts = 0;

  static open() {
    const place = new Place();
    before(async () => {
      place.server = await Server.start();
      place.browser = await launch();
    });
    after(async () => {
      await place.browser?.close();
      await place.server?.stop();
    });
    return place;
  }

  /** A window in which a newcomer is to connect an app; closed and looked over after the walk.
   * @param {Options} options @param {(person: Person) => Promise<void>} walk */
  async newcomer(options, walk) {
    this.#accounts += 1;
    const window = await Window.open(this.browser, this.server.origin, options);
    const person = new Person(window, this.server, `person-${this.#accounts}@example.com`);
    try {
      await person.signIn();
      await walk(person);
      window.check();
    } finally {
      await window.close();
    }
  }

  /** The same with an app connected and the way to the challenge behind them.
   * @param {Options} options @param {(person: Person, app: Authenticator) => Promise<void>} walk */
  async member(options, walk) {
    await this.newcomer(options, async (person) => {
      const app = await person.connect();
      await person.keepCodes();
      await person.signIn();
      await walk(person, app);
    });
  }
}

export class Person {
  /** @param {Window} window @param {Server} server @param {string} account */
  constructor(window, server, account) {
    this.window = window;
    this.page = window.page;
    this.server = server;
    this.account = account;
  }

  /** By the demonstration's login, in a browser that knows nobody yet, to whichever page comes next. */
  async signIn() {
    await this.page.context().clearCookies();
    await this.page.goto(`${this.server.origin}/demo/`);
    await this.page.locator("input[name=user_id]").fill(this.account);
    await this.page.locator("main form button").click();
    await this.page.waitForURL(/\/2fa\/(enroll|challenge)\/$/);
  }

  /** What the page says that a code can be made from: the link to open in an app. */
  async uri() {
    return (await this.page.locator("a[href^='otpauth:']").getAttribute("href")) ?? "";
  }

  async app() {
    return new Authenticator(await this.uri(), this.server);
  }

  /** Types a code into the first form that asks for one and sends it. @param {string} code */
  async send(code) {
    const field = this.page.locator(CODE).first();
    await field.fill(code);
    await this.page.locator("form").filter({ has: field }).locator("button:visible").last().click();
  }

  /** Sends a code that is refused with 400, and waits for the page that says so. @param {string} code */
  async sendRefused(code, status = 400) {
    const path = new URL(this.page.url()).pathname;
    this.window.expect(`${status} ${path}`);
    const answered = this.page.waitForResponse((response) => response.request().method() === "POST");
    await this.send(code);
    await answered;
    await this.page.waitForLoadState();
  }

  /** As far as the page of backup codes. */
  async connect() {
    const app = await this.app();
    await this.send(await app.freshCode());
    await this.page.locator("#codes").waitFor();
    return app;
  }

  /** The backup codes on the page. */
  async codes() {
    return this.page.locator("#codes li").allTextContents();
  }

  async keepCodes() {
    await this.page.locator("input[name=saved]").check();
    await this.page.locator("form.gate button").click();
    await this.page.waitForURL(/\/demo\/$/);
  }

  /** What has the focus, by its tag and its id or name. */
  async focused() {
    return this.page.evaluate(() => {
      const at = document.activeElement;
      return at ? `${at.localName}${at.id && `#${at.id}`}` : "";
    });
  }

  /** Walks with the tabulator to what `selector` matches. @param {string} selector */
  async tabTo(selector) {
    for (let presses = 0; presses < 40; presses += 1) {
      await this.page.keyboard.press("Tab");
      if (await this.page.evaluate((selector) => document.activeElement?.matches(selector), selector)) return;
    }
    throw new Error(`the keyboard does not reach ${selector}`);
  }

  /** The sentences of the elements that describe the first field for a code. */
  async description() {
    return this.page.locator(CODE).first().evaluate((field) => {
      const ids = (field.getAttribute("aria-describedby") ?? "").split(" ");
      return ids.map((id) => document.getElementById(id)?.textContent?.trim() ?? `no element ${id}`);
    });
  }
}
