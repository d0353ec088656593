// @ts-check
/**
 * `<sidekey-code-input>`: one field for a code, never six. Label, field, hint and error stand in the page's own tree, where
 * forms, password managers and assistive technology find and connect them; what is only seen is in the shadow tree.
 */

import { normalizeBackupCode, normalizeCode } from "../index.js";
import { SidekeyError } from "../client/error.js";
import { asClock, countDown, stepRing } from "./countdown.js";
import { announce, announcer, freshId, h, shadow } from "./dom.js";
import { numberOf, SidekeyElement } from "./element.js";
import { sentenceOf } from "./messages.js";
import { pageAge, pageClock } from "./page-clock.js";
import { codeInputStyles } from "./styles.js";

/** Failures in a row after which the clock is mentioned. */
const CLOCK_HINT_AFTER = 2;
/** A shorter limit would cut off a pasted "123 456" or a code with words around it. */
const SHORTEST_MAXLENGTH = 32;

export class SidekeyCodeInput extends SidekeyElement {
  static observedAttributes = ["label", "hint", "next", "disabled"];

  #before = h("slot");
  #input = h("slot", { name: "input" });
  #after = h("slot", { name: "after" });
  #row = h("div", { class: "row", part: "row" }, this.#input);
  #wait = h("p", { part: "wait", class: "wait", "aria-hidden": "true", hidden: true });
  #status = announcer();
  /** @type {HTMLInputElement | null} */ #field = null;
  /** @type {HTMLInputElement | null} */ #next = null;
  /** @type {HTMLElement | null} */ #error = null;
  /** @type {ReturnType<typeof stepRing> | null} */ #ring = null;
  /** @type {import("./index.d.ts").Clock | null} */ #clock = null;
  /** @type {HTMLFormElement | null} */ #form = null;
  /** @type {(() => void) | null} */ #endWait = null;
  #failures = 0;

  constructor() {
    super();
    shadow(this, codeInputStyles, this.#before, this.#row, this.#after, this.#wait, this.#status);
  }

  connectedCallback() {
    this.upgrade("clock", "value");
    if (document.readyState === "loading" && !this.querySelector("input")) {
      document.addEventListener("DOMContentLoaded", () => this.isConnected && this.#begin(), { once: true });
    } else {
      this.#begin();
    }
  }

  disconnectedCallback() {
    this.#ring?.stop();
    this.#listen(null);
  }

  /** @param {string} name */
  attributeChangedCallback(name) {
    if (!this.#field) return;
    if (name === "next") this.#showNext(this.hasAttribute("next"));
    else this.messagesChanged();
  }

  /** @override */
  messagesChanged() {
    if (!this.#field) return;
    this.#field.toggleAttribute("disabled", this.hasAttribute("disabled") || this.#field.matches("[data-sidekey-disabled]"));
    const { label, hint } = this.#texts();
    const own = (/** @type {string} */ name) => this.querySelector(`:scope > .sidekey-${name}`);
    own("label")?.replaceChildren(label);
    own("hint")?.replaceChildren(hint);
  }

  /** `totp` for the codes of an app, `backup` for backup codes. */
  get kind() {
    return this.getAttribute("kind") === "backup" ? "backup" : "totp";
  }

  /** The code made ready to send: ASCII digits, and in codes of an app no blanks and no hyphens. */
  get value() {
    return normalized(this.kind, this.#field?.value ?? "");
  }

  set value(value) {
    if (this.#field) this.#field.value = value;
  }

  /** The second code, empty unless it is asked for. */
  get nextValue() {
    return this.#next && !this.#next.hidden ? normalized("totp", this.#next.value) : "";
  }

  /** The field itself. @returns {HTMLInputElement | null} */
  get input() {
    return this.#field;
  }

  /** Whose time the ring shows; by default the page's attribute `server-time`. */
  get clock() {
    return this.#clock ?? (this.#clock = pageClock(this));
  }

  set clock(clock) {
    this.#clock = clock;
    if (this.#ring) this.#startRing();
  }

  /** Whether it waits after too many wrong codes. */
  get waiting() {
    return this.#endWait !== null;
  }

  /** @override @param {FocusOptions} [options] */
  focus(options) {
    this.#field?.focus(options);
  }

  /** Whether there is something to send; if not, says so. */
  checkFilled() {
    this.clear();
    if (!this.value) this.fail(this.text(this.kind === "totp" ? "code.empty" : "backup.empty"));
    else if (this.#next && !this.#next.hidden && !this.nextValue) this.fail(this.text("code.next-empty"), this.#next);
    else return true;
    return false;
  }

  /**
   * Shows what is wrong, marks the field and focuses it. An error of the API is told in words, asks for a second code, waits
   * and mentions the clock as it demands.
   * @param {unknown} problem
   * @param {HTMLInputElement | null} [field]
   */
  fail(problem, field = this.#field) {
    if (!field || !this.#error) return;
    const error = typeof problem === "string" ? null : problem instanceof SidekeyError ? problem : new SidekeyError("INTERNAL");
    this.#mark(field, error ? sentenceOf(this, error) : String(problem));
    if (error?.code === "INVALID_CODE") this.#failures += 1;
    if (this.#failures >= CLOCK_HINT_AFTER) this.#hintAtClock();
    if (error?.code === "NEXT_CODE_REQUIRED") this.setAttribute("next", "");
    if (error?.retryAfter) this.hold(error.retryAfter);
  }

  /** Takes the error away. */
  clear() {
    for (const field of [this.#field, this.#next]) {
      if (!field || !this.#error) continue;
      field.removeAttribute("aria-invalid");
      describe(field, this.#error.id, false);
    }
    this.#error?.replaceChildren();
  }

  /** Holds the form back while it counts down. @param {number} seconds */
  hold(seconds) {
    this.#endWait?.();
    this.#wait.hidden = false;
    const stop = countDown(
      seconds,
      (remaining) => this.#wait.replaceChildren(this.text("wait.label", { time: asClock(remaining, this.language) })),
      () => {
        this.#endWait?.();
        this.clear();
        announce(this.#status, this.text("wait.over"));
        this.tell("sidekey-wait-over");
      },
    );
    this.#endWait = () => {
      stop();
      this.#endWait = null;
      this.#wait.hidden = true;
      this.#markButtons(false);
    };
    this.#markButtons(true);
  }

  #begin() {
    if (!this.#field) this.#adopt();
    this.#listen(this.#field?.form ?? null);
    this.#startRing();
    this.messagesChanged();
    if (this.hasAttribute("next")) this.#showNext(true);
    this.#failures = Math.max(this.#failures, numberOf(this, "failures", 0));
    if (this.#failures >= CLOCK_HINT_AFTER) this.#hintAtClock();
    const wait = numberOf(this, "wait", 0) - (document.readyState === "complete" ? 0 : pageAge());
    if (this.hasAttribute("wait") && wait > 0 && !this.waiting) this.hold(wait);
  }

  /** Takes the server's field, or makes one. */
  #adopt() {
    const [given, next] = this.querySelectorAll('input:not([type="hidden"], [type="checkbox"], [type="radio"])');
    const field = /** @type {HTMLInputElement} */ (given ?? this.#build());
    this.#field = field;
    this.#next = /** @type {HTMLInputElement | null} */ (next ?? null);
    prepare(field, this.kind);
    if (this.#next) prepareNext(this.#next);
    field.toggleAttribute("data-sidekey-disabled", given ? field.disabled : false);
    this.#place(field);
    this.#error = this.querySelector("[data-sidekey-error], .sidekey-error, [role=alert]") ?? this.#append("error", { role: "alert" });
    this.#error.id ||= freshId("error");
    field.addEventListener("input", () => this.#typed());
  }

  #build() {
    const id = freshId("code");
    const hint = `${id}-hint`;
    const field = h("input", {
      id,
      class: `sidekey-input${this.kind === "backup" ? " sidekey-backup" : ""}`,
      part: "input",
      type: "text",
      name: this.getAttribute("name") ?? (this.kind === "totp" ? "code" : "backup_code"),
      required: this.hasAttribute("required"),
      "aria-describedby": hint,
    });
    this.append(h("label", { for: id, class: "sidekey-label", part: "label" }), h("p", { id: hint, class: "sidekey-hint", part: "hint" }), field);
    return field;
  }

  #texts() {
    const values = { digits: numberOf(this, "digits", 6), period: numberOf(this, "period", 30) };
    const own = this.kind === "totp" ? "code" : "backup";
    return {
      label: this.getAttribute("label") ?? this.text(`${own}.label`),
      hint: this.getAttribute("hint") ?? this.text(`${own}.hint`, values),
    };
  }

  /** The ring stands beside a field that is a child; what follows the field stays below. @param {HTMLInputElement} field */
  #place(field) {
    if (field.parentElement !== this) return;
    field.slot = "input";
    for (let after = field.nextElementSibling; after; after = after.nextElementSibling) after.slot ||= "after";
  }

  /** A paragraph below the field. @param {string} name @param {import("./dom.js").Attributes} attributes */
  #append(name, attributes) {
    const paragraph = h("p", { class: `sidekey-${name}`, part: name, slot: "after", ...attributes });
    this.append(paragraph);
    return paragraph;
  }

  #startRing() {
    this.#ring?.stop();
    this.#ring?.ring.remove();
    if (this.kind === "backup" || this.getAttribute("countdown") === "off") return;
    this.#ring = stepRing(numberOf(this, "period", 30), this.clock, this.language);
    this.#row.append(this.#ring.ring);
    this.#ring.start();
  }

  #typed() {
    const value = this.value;
    this.tell("sidekey-input", { value });
    if (this.kind === "totp" && value.length === numberOf(this, "digits", 6) && /^\d+$/.test(value)) this.tell("sidekey-complete", { value });
  }

  /** @param {HTMLInputElement} field @param {string} sentence */
  #mark(field, sentence) {
    if (!this.#error) return;
    this.#error.textContent = sentence;
    field.setAttribute("aria-invalid", "true");
    describe(field, this.#error.id, true);
    field.focus();
    field.select();
  }

  #hintAtClock() {
    const hint = this.querySelector("[data-sidekey-clock-hint]") ?? this.#append("clock-hint", { role: "status", "data-sidekey-clock-hint": true });
    hint.toggleAttribute("hidden", false);
    hint.textContent ||= this.text("code.clock");
  }

  /** @param {boolean} wanted */
  #showNext(wanted) {
    if (!wanted && !this.#next) return;
    const next = (this.#next ??= this.#buildNext());
    for (const part of this.querySelectorAll(":scope > .sidekey-next")) part.toggleAttribute("hidden", !wanted);
    next.hidden = !wanted;
    next.disabled = !wanted;
  }

  #buildNext() {
    const id = freshId("next");
    const hint = `${id}-hint`;
    const next = h("input", { id, name: "next_code", class: "sidekey-input sidekey-next", part: "input", slot: "after", "aria-describedby": hint });
    prepareNext(next);
    const label = h("label", { for: id, class: "sidekey-label sidekey-next", part: "label", slot: "after" }, this.text("code.next-label"));
    const hintText = h("p", { id: hint, class: "sidekey-hint sidekey-next", part: "hint", slot: "after" }, this.text("code.next-hint"));
    this.append(label, hintText, next);
    return next;
  }

  /** @param {HTMLFormElement | null} form */
  #listen(form) {
    this.#form?.removeEventListener("submit", this.#onSubmit, true);
    this.#form?.removeEventListener("formdata", this.#onFormData);
    this.#form = form;
    form?.addEventListener("submit", this.#onSubmit, true);
    form?.addEventListener("formdata", this.#onFormData);
  }

  /** @param {Event} event */
  #onSubmit = (event) => {
    if (!this.waiting) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    announce(this.#status, this.#wait.textContent ?? "");
  };

  /** What is sent is the code, however it was typed. @param {FormDataEvent} event */
  #onFormData = (event) => {
    for (const field of [this.#field, this.#next]) {
      if (!field?.name || !event.formData.has(field.name)) continue;
      event.formData.set(field.name, field === this.#field ? this.value : this.nextValue);
    }
  };

  /** @param {boolean} held */
  #markButtons(held) {
    for (const button of this.#form?.querySelectorAll('button:not([type="button"]), input[type="submit"]') ?? []) {
      if (held) button.setAttribute("aria-disabled", "true");
      else button.removeAttribute("aria-disabled");
    }
  }
}

/** @param {HTMLInputElement} field @param {"totp" | "backup"} kind */
function prepare(field, kind) {
  field.type = "text";
  field.inputMode = kind === "totp" ? "numeric" : "text";
  field.autocomplete = kind === "totp" ? "one-time-code" : "off";
  // A page that knows its user's backup codes may have said otherwise.
  if (kind === "totp" || !field.hasAttribute("autocapitalize")) field.autocapitalize = kind === "totp" ? "off" : "characters";
  field.spellcheck = false;
  field.dir = "ltr";
  field.removeAttribute("pattern");
  if (field.maxLength >= 0 && field.maxLength < SHORTEST_MAXLENGTH) field.maxLength = SHORTEST_MAXLENGTH;
}

/** The next code is not in a message or a password manager yet: what they have belongs into the first field. @param {HTMLInputElement} field */
function prepareNext(field) {
  prepare(field, "totp");
  field.autocomplete = "off";
}

/** Adds an id to what describes a field, in front, or takes it out. @param {HTMLInputElement} field @param {string} id @param {boolean} wanted */
function describe(field, id, wanted) {
  const others = (field.getAttribute("aria-describedby") ?? "").split(/\s+/).filter((other) => other && other !== id);
  const ids = wanted ? [id, ...others] : others;
  if (ids.length > 0) field.setAttribute("aria-describedby", ids.join(" "));
  else field.removeAttribute("aria-describedby");
}

/** @param {"totp" | "backup"} kind @param {string} typed */
function normalized(kind, typed) {
  try {
    return kind === "totp" ? normalizeCode(typed) : normalizeBackupCode(typed);
  } catch {
    // No WebAssembly here, or no code at all: the server judges what was typed.
    return typed.trim();
  }
}
