// Headless Chromium, and an eye on what its pages do besides.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

const SCREENSHOTS = new URL("../../target/screenshots/", import.meta.url);

/** Playwright gives each browser a new user data folder. */
export async function launch() {
  return chromium.launch({
    executablePath: process.env["SIDEKEY_CHROMIUM"] ?? "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** One window of a browser whose pages may only talk to one server, and may not complain. */
export class Window {
  /** @type {string[]} */ #complaints = [];
  /** @type {string[]} */ #refusals = [];
  /** @type {string[]} */ #expected = [];
  #requests = 0;

  /** @param {import("playwright-core").Browser} browser @param {string} origin @param {import("playwright-core").BrowserContextOptions} [options] */
  static async open(browser, origin, options) {
    const context = await browser.newContext({ viewport: { width: 1100, height: 900 }, ...options });
    const window = new Window(context, origin);
    if (options?.javaScriptEnabled === false) {
      window.page = await context.newPage();
      return window;
    }
    await context.exposeBinding("reportViolation", (_, text) => window.#complaints.push(`CSP: ${text}`));
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        const report = /** @type {{ reportViolation: (text: string) => void }} */ (/** @type {unknown} */ (globalThis));
        report.reportViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
      });
    });
    window.page = await context.newPage();
    return window;
  }

  /** @param {import("playwright-core").BrowserContext} context @param {string} origin */
  constructor(context, origin) {
    this.context = context;
    this.origin = origin;
    /** @type {import("playwright-core").Page} */
    this.page = /** @type {any} */ (undefined);
    context.setDefaultTimeout(10_000);
    context.on("request", (request) => {
      this.#requests += 1;
      const { protocol, origin: to } = new URL(request.url());
      if (to !== origin && protocol !== "data:" && protocol !== "blob:") this.#complaints.push(`request to ${request.url()}`);
    });
    context.on("response", (response) => {
      if (response.status() >= 400) this.#refusals.push(`${response.status()} ${new URL(response.url()).pathname}`);
    });
    context.on("requestfailed", (request) => {
      // A page that leaves takes its unfinished requests along.
      if (request.failure()?.errorText !== "net::ERR_ABORTED") this.#complaints.push(`${request.url()}: ${request.failure()?.errorText}`);
    });
    context.on("console", (message) => {
      // Chromium's own line for an answer of 400 and above; those are compared with what was expected.
      const isRefusal = message.text().startsWith("Failed to load resource: the server responded with a status of 4");
      if (["error", "warning"].includes(message.type()) && !isRefusal) this.#complaints.push(`console: ${message.text()}`);
    });
    context.on("weberror", (error) => this.#complaints.push(`uncaught: ${error.error().stack}`));
  }

  /** The next refusals that the server is right to give, as `400 /2fa/verify/`. @param {...string} refusals */
  expect(...refusals) {
    this.#expected.push(...refusals);
  }

  /** Complaints that a test has provoked: there was at least one. @param {RegExp} about */
  forgive(about) {
    const provoked = this.#complaints.filter((complaint) => about.test(complaint));
    assert.ok(provoked.length > 0, `nothing was complained about ${about}`);
    this.#complaints = this.#complaints.filter((complaint) => !provoked.includes(complaint));
  }

  /** No page has asked another server, broken its policy, complained, or been refused what it should get. */
  check() {
    assert.deepEqual(this.#complaints, []);
    assert.deepEqual(this.#refusals, this.#expected);
    assert.ok(this.#requests > 0, "no request was seen at all");
  }

  /** Keeps a picture of the whole page and gives its path. @param {string} name */
  async picture(name) {
    await mkdir(SCREENSHOTS, { recursive: true });
    const path = fileURLToPath(new URL(`${name}.png`, SCREENSHOTS));
    await this.page.screenshot({ path, fullPage: true, animations: "disabled" });
    return path;
  }

  /** Waits for the page's heading. @param {string | RegExp} name */
  async heading(name) {
    await this.page.getByRole("heading", { level: 1, name }).waitFor();
  }

  /** Unfolds what a summary hides. @param {string | RegExp} name */
  async unfold(name) {
    await this.page.locator("summary").filter({ hasText: name }).first().click();
  }

  /** @param {string | RegExp} name */
  async press(name) {
    await this.page.getByRole("button", { name }).click();
  }

  /** Waits for an alert or a notice. @param {string | RegExp} text */
  async says(text) {
    await this.page.locator("[role=alert]:visible, .notice:visible").filter({ hasText: text }).first().waitFor();
  }

  close() {
    return this.context.close();
  }
}
