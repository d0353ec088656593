// @ts-check
/** What the elements have in common: they can be imported where there is no DOM, and they speak the page's language. */

import { english, fillIn } from "./messages.js";

/** @typedef {import("./index.d.ts").Messages} Messages */
/** @typedef {import("./messages.js").Values} Values */

/** A server that renders pages imports the module too, and has no elements. */
const Base = globalThis.HTMLElement ?? /** @type {typeof HTMLElement} */ (/** @type {unknown} */ (class {}));

export class SidekeyElement extends Base {
  /** @type {Messages | null} */ #messages = null;

  /** Texts that replace the English ones; those of an element around it count as well. @returns {Messages | null} */
  get messages() {
    return this.#messages ?? this.#written();
  }

  set messages(messages) {
    this.#messages = messages;
    this.messagesChanged();
  }

  /** For elements that show texts of their own. */
  messagesChanged() {}

  /** Texts that the page brings along: `<script type="application/json">` as a child. @returns {Messages | null} */
  #written() {
    const script = this.querySelector(':scope > script[type="application/json"]');
    try {
      return script ? JSON.parse(script.textContent ?? "") : null;
    } catch {
      throw new SyntaxError(`the messages inside <${this.localName}> are no JSON`);
    }
  }

  /** @param {string} key @param {Values} [values] */
  text(key, values = {}) {
    const table = [this.messages, outer(this)?.messages, english].find((messages) => messages?.[key] !== undefined);
    return fillIn(table?.[key] ?? key, values, this.language);
  }

  /** Language of the place where the element stands, for plurals and numbers. */
  get language() {
    const said = /** @type {HTMLElement | null} */ (this.closest("[lang]") ?? hostOf(this)?.closest("[lang]"));
    return said?.lang || document.documentElement.lang || "en";
  }

  /** @param {string} name @param {unknown} [detail] @returns {boolean} false where a listener has prevented the default */
  tell(name, detail) {
    return this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true, cancelable: true }));
  }

  /**
   * Properties that were set before the element was defined hide its accessors: they are set anew.
   * @param {...string} names
   */
  upgrade(...names) {
    const self = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (this));
    for (const name of ["messages", ...names]) {
      if (!Object.hasOwn(self, name)) continue;
      const value = self[name];
      delete self[name];
      self[name] = value;
    }
  }
}

/** The host of the shadow tree that an element stands in. @param {Element} element */
export function hostOf(element) {
  const root = element.getRootNode();
  return root instanceof ShadowRoot ? root.host : null;
}

/** The `<sidekey-enroll>` around an element. @param {Element} element @returns {SidekeyElement | null} */
function outer(element) {
  const around = element.parentElement?.closest("sidekey-enroll") ?? hostOf(element);
  return around instanceof SidekeyElement ? around : null;
}

/** A number from an attribute. @param {Element} element @param {string} name @param {number} otherwise */
export function numberOf(element, name, otherwise) {
  const value = Number(element.getAttribute(name) || NaN);
  return Number.isFinite(value) ? value : otherwise;
}
