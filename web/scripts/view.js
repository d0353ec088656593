// @ts-check
/** The page's stage: one heading and what is below it. A change of step moves the focus to the heading and renames the page. */

import { SidekeyError } from "./api.js";
import { fill, h } from "./dom.js";
import { sentence, text } from "./messages.js";
import { issuer } from "./place.js";

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const status = /** @type {HTMLElement} */ (document.getElementById("status"));

/**
 * @param {string} heading
 * @param {import("./dom.js").Child[]} content
 * @param {{ focus?: HTMLElement, beside?: import("./dom.js").Child }} [options] what to focus instead of the heading; what stands beside it
 */
export function show(heading, content, { focus, beside } = {}) {
  const title = h("h1", { tabindex: -1 }, heading);
  fill(main, beside ? h("div", { class: "heading" }, title, beside) : title, ...content);
  document.title = `${heading} · ${issuer}`;
  scrollTo(0, 0);
  (focus ?? title).focus();
}

/**
 * A step that says one thing and offers where to go.
 * @param {string} heading
 * @param {string} lead
 * @param {...import("./dom.js").Child} actions
 */
export function showMessage(heading, lead, ...actions) {
  show(heading, [h("div", { class: "card" }, h("p", { class: "lead" }, lead), actions.length > 0 && h("div", { class: "actions" }, ...actions))]);
}

/**
 * A failure that the page cannot go on from.
 * @param {string} heading
 * @param {unknown} error
 * @param {...import("./dom.js").Child} actions
 */
export function showFailure(heading, error, ...actions) {
  const failure = asSidekeyError(error);
  showMessage(heading, sentence(failure), ...actions);
  if (failure.code === "INTERNAL" && failure.requestId) {
    main.append(h("p", { class: "hint" }, text("request-id", { id: failure.requestId })));
  }
}

/** A mistake of the page itself is told like one of the server. @param {unknown} error */
export function asSidekeyError(error) {
  return error instanceof SidekeyError ? error : new SidekeyError("INTERNAL");
}

/** Tells people who do not see the page. @param {string} said */
export function announce(said) {
  status.textContent = "";
  // Behind an open dialog nothing is announced.
  (document.querySelector("dialog[open]") ?? document.body).append(status);
  // Two equal texts in a row would be silent: the change has to be seen.
  setTimeout(() => fill(status, said), 50);
}

/**
 * @param {"info" | "warning" | "error" | "success"} kind
 * @param {...import("./dom.js").Child} children
 */
export function notice(kind, ...children) {
  return h("div", { class: `notice ${kind}` }, ...children);
}

/** @param {string} label @param {() => void} click @param {string} [look] */
export const button = (label, click, look = "") => h("button", { type: "button", class: `button ${look}`, click }, label);

/** @param {string} label @param {string} address @param {string} [look] */
export const linkButton = (label, address, look = "") => h("a", { class: `button ${look}`, href: address }, label);

/** Leads back to where the person came from: the address if it is known, else the step before in this tab. @param {string | null} address */
export function wayBack(address) {
  if (address) return linkButton(text("back"), address, "primary");
  return history.length > 1 && button(text("back"), () => history.back(), "primary");
}
