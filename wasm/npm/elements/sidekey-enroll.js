// @ts-check
/**
 * `<sidekey-enroll>`: connects an authenticator app. Around a form that the server has rendered, it adds what needs a script:
 * copying, the check of picture and clock, the announcements. Alone, it draws every step and speaks to the API itself.
 */

import { SidekeyError } from "../client/error.js";
import { createClient } from "../client/index.js";
import { downloadCodes, printCodes } from "./backup-codes.js";
import { copyText } from "./copy.js";
import { announce, announcer, h, shadow } from "./dom.js";
import { SidekeyElement } from "./element.js";
import { button, codesView, setupView, view } from "./enroll-view.js";
import { sentenceOf } from "./messages.js";
import { pageClock } from "./page-clock.js";
import { preflight, preflightView } from "./preflight.js";
import { enrollStyles } from "./styles.js";
import { plain, wireTools } from "./tools.js";

/** @typedef {import("../client/index.d.ts").SidekeyClient} SidekeyClient */
/** @typedef {import("../client/index.d.ts").Setup} Setup */
/** @typedef {import("../client/index.d.ts").Confirmed} Confirmed */
/** @typedef {import("./index.d.ts").EnrollStep} EnrollStep */

/** Refusals after which this attempt is over, and only the page around knows how to go on. */
const ENDED = ["AUTH_REQUIRED", "2FA_REQUIRED", "FORBIDDEN", "SESSION_EXPIRED", "SESSION_NOT_FOUND", "SESSION_ALREADY_VERIFIED", "MAX_ATTEMPTS_EXCEEDED"];
const EXPIRED = ["SETUP_EXPIRED", "DEVICE_NOT_FOUND"];

export class SidekeyEnroll extends SidekeyElement {
  #stage = h("div", { part: "stage" });
  #checks = h("div", {});
  #status = announcer();
  /** @type {SidekeyClient | null} */ #client = null;
  /** @type {import("../client/index.d.ts").TokenSource | null} */ #token = null;
  /** @type {EnrollStep | null} */ #step = null;
  #enhanced = false;

  constructor() {
    super();
    shadow(this, enrollStyles, h("slot"), this.#checks, this.#stage, this.#status);
  }

  connectedCallback() {
    this.upgrade("client", "token");
    if (document.readyState === "loading") {
      document.addEventListener("DOMContentLoaded", () => this.isConnected && this.#begin(), { once: true });
    } else {
      this.#begin();
    }
  }

  /** The client that it speaks through; made of `base-url` and `token` where none is given. */
  get client() {
    return this.#client;
  }

  set client(client) {
    this.#client = client;
    this.#begin();
  }

  /** The access or enrolment token, or a function that gives it. Never an attribute: secrets do not belong into markup. */
  get token() {
    return this.#token;
  }

  set token(token) {
    this.#token = token;
    this.#client = token ? createClient({ baseUrl: this.getAttribute("base-url") ?? "", token }) : null;
    this.#begin();
  }

  /** The step that is shown; null around a server's page. */
  get step() {
    return this.#step;
  }

  /** Shows the key, the same one again for ten minutes; `restart` makes a new one. @param {{ restart?: boolean }} [options] */
  async start({ restart = false } = {}) {
    const client = this.#client;
    if (!client) throw new TypeError("<sidekey-enroll> needs the property `client` or `token` before it can start");
    this.#show("loading", h("p", {}, this.text("enroll.loading")));
    try {
      const name = this.getAttribute("device-name");
      const setup = await client.startSetup({ ...(name ? { device_name: name } : {}), ...(restart ? { restart } : {}) });
      if (this.#asks(client)) return this.#showSetup(client, setup);
    } catch (error) {
      if (this.#asks(client)) return this.#showFailure(error);
    }
    // In the meantime it was taken out of the page, or given another client: that one is to be asked.
    this.#step = null;
    this.#stage.replaceChildren();
    this.#begin();
  }

  /** Whether what a client has answered is still of use. @param {SidekeyClient} client */
  #asks(client) {
    return this.isConnected && client === this.#client;
  }

  #begin() {
    if (!this.isConnected || document.readyState === "loading") return;
    if (!this.#enhanced && this.#wraps()) this.#enhance();
    else if (!this.#enhanced && this.#client && this.#step === null) void this.start();
  }

  /** Whether the server has rendered the page already. */
  #wraps() {
    return [...this.children].some((child) => child.localName !== "script");
  }

  #enhance() {
    this.#enhanced = true;
    wireTools(this, () => this.#about(), (said) => announce(this.#status, said));
    const qr = /** @type {import("./sidekey-qr.js").SidekeyQr | null} */ (this.querySelector("sidekey-qr[uri]"));
    if (!qr) return;
    const key = this.querySelector("[data-sidekey-key]");
    const place = this.querySelector("[data-sidekey-preflight]") ?? this.#checks;
    this.#preflight(place, qr, key && plain(key), pageClock(this).offsetMs);
  }

  /** @param {SidekeyClient} client @param {Setup} setup */
  #showSetup(client, setup) {
    const submit = (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      void confirm();
    };
    const copy = async (/** @type {string} */ text, /** @type {Element} */ at) => this.#say((await copyText(text, at)) ? "enroll.key-copied" : "copy.select");
    const { shown, qr, input, send, checks } = setupView(this, setup, { submit, copy });
    let busy = false;
    const setBusy = (/** @type {boolean} */ on) => {
      busy = on;
      send.setAttribute("aria-disabled", String(on || input.waiting));
      send.textContent = this.text(on ? "code.checking" : "enroll.confirm");
    };
    const confirm = async () => {
      if (busy || !input.checkFilled()) return;
      setBusy(true);
      try {
        const next = input.nextValue;
        const confirmed = await client.confirmSetup({ device_id: setup.device_id, code: input.value, ...(next ? { next_code: next } : {}) });
        this.#enrolled(confirmed);
      } catch (error) {
        setBusy(false);
        if (!this.#endedBy(error)) input.fail(error);
      }
    };
    input.clock = client.clock;
    this.#show("setup", shown);
    this.#preflight(checks, qr, plain(shown.querySelector(".key") ?? shown), client.clock.offsetMs);
  }

  /** @param {Confirmed} confirmed */
  #enrolled(confirmed) {
    this.tell("sidekey-enrolled", confirmed);
    const codes = confirmed.backup_codes ?? [];
    if (codes.length === 0) return this.#finish(confirmed);
    const done = () => {
      removeEventListener("beforeunload", askBeforeLeaving);
      this.#finish(confirmed);
    };
    addEventListener("beforeunload", askBeforeLeaving);
    this.#show(
      "codes",
      codesView(this, codes, {
        copy: async (list) => this.#say((await copyText(codes.join("\n"), list)) ? "codes.copied" : "copy.select"),
        download: () => {
          downloadCodes(this, codes, this.#about());
          this.#say("codes.downloaded");
        },
        print: () => printCodes(this, codes, this.#about()),
        done,
      }),
    );
  }

  /** @param {Confirmed} confirmed */
  #finish(confirmed) {
    this.#show("done", view(this.text("enroll.done"), h("p", {}, this.text("enroll.done-lead"))));
    this.tell("sidekey-done", confirmed);
  }

  /** Shows the step that a refusal leads to, if it ends this attempt. @param {unknown} error */
  #endedBy(error) {
    if (!(error instanceof SidekeyError)) return false;
    if (EXPIRED.includes(error.code)) {
      const again = button(this.text("enroll.new-key"), () => void this.start({ restart: true }), "primary");
      this.#show("failed", view(this.text("enroll.expired"), h("p", {}, sentenceOf(this, error)), again));
      return true;
    }
    if (!ENDED.includes(error.code)) return false;
    this.#showFailure(error);
    return true;
  }

  /** @param {unknown} thrown */
  #showFailure(thrown) {
    const error = thrown instanceof SidekeyError ? thrown : new SidekeyError("INTERNAL", { cause: thrown });
    const goesOn = this.tell("sidekey-error", { error });
    if (!goesOn) return;
    const again = button(this.text("enroll.again"), () => void this.start(), "primary");
    this.#show("failed", view(this.text("enroll.failed"), h("p", { role: "alert" }, sentenceOf(this, error)), again));
  }

  /** @param {EnrollStep} step @param {HTMLElement} content */
  #show(step, content) {
    const changed = this.#step !== null && this.#step !== "loading" && step !== "loading";
    this.#step = step;
    this.#stage.replaceChildren(content);
    const heading = this.#stage.querySelector("h2");
    if (changed) heading?.focus();
    this.tell("sidekey-step", { step, title: heading?.textContent ?? "" });
  }

  /** @param {Element} place @param {import("./sidekey-qr.js").SidekeyQr} qr @param {string | null} key @param {number | null} offsetMs */
  #preflight(place, qr, key, offsetMs) {
    const found = preflight({ qr: qr.check(), uri: qr.uri, key, offsetMs });
    place.replaceChildren(preflightView(this, found));
    this.tell("sidekey-preflight", found);
  }

  /** What the kept backup codes are said to be for. */
  #about() {
    return {
      issuer: this.getAttribute("issuer") ?? location.hostname,
      account: this.getAttribute("account") ?? "",
      made: this.#client?.clock.now() ?? pageClock(this).now(),
    };
  }

  /** @param {string} key */
  #say(key) {
    announce(this.#status, this.text(key));
  }
}

/** The codes cannot be shown again: leaving without them asks first. @param {BeforeUnloadEvent} event */
function askBeforeLeaving(event) {
  event.preventDefault();
}
