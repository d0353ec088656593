// @ts-check
/** A labelled input with hint and error, tied together for assistive technology. */

import { fill, freshId, h } from "./dom.js";
import { text } from "./messages.js";

/**
 * @typedef {object} Field
 * @property {HTMLElement} element
 * @property {HTMLInputElement} input
 * @property {(sentence: string) => void} fail shows the sentence, marks the input and focuses it
 * @property {() => void} clear takes the error away
 */

/**
 * @param {object} options
 * @param {string} options.label
 * @param {string} [options.hint]
 * @param {boolean} [options.optional]
 * @param {import("./dom.js").Child} [options.beside] stands at the end of the input
 * @param {import("./dom.js").Attributes} [options.attributes] of the input
 * @returns {Field}
 */
export function field({ label, hint, optional, beside, attributes = {} }) {
  const id = freshId("field");
  const hintId = `${id}-hint`;
  const errorId = `${id}-error`;
  const describedBy = hint ? hintId : null;
  const input = h("input", { id, type: "text", "aria-describedby": describedBy, ...attributes });
  const error = h("p", { id: errorId, class: "error", role: "alert" });
  const element = h(
    "div",
    { class: "field" },
    h("label", { for: id }, label, optional && h("span", { class: "optional" }, ` (${text("enroll.optional")})`)),
    hint && h("p", { id: hintId, class: "hint" }, hint),
    beside ? h("div", { class: "with-beside" }, input, beside) : input,
    error,
  );
  return {
    element,
    input,
    fail(sentence) {
      fill(error, sentence);
      input.setAttribute("aria-invalid", "true");
      input.setAttribute("aria-describedby", describedBy ? `${errorId} ${describedBy}` : errorId);
      input.focus();
      input.select();
    },
    clear() {
      fill(error);
      input.removeAttribute("aria-invalid");
      if (describedBy) input.setAttribute("aria-describedby", describedBy);
      else input.removeAttribute("aria-describedby");
    },
  };
}
