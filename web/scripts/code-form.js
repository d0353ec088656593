// @ts-check
/** The form that asks for a code: one input, never six boxes. It tells malformed, wrong and throttled apart. */

import { asClock, stepRing, wait } from "./countdown.js";
import { fill, h } from "./dom.js";
import { field } from "./field.js";
import { sentence, text } from "./messages.js";
import { announce, asSidekeyError, notice } from "./view.js";
import { normalise } from "./wasm.js";

/**
 * @typedef {object} CodeForm
 * @property {HTMLFormElement} element
 * @property {HTMLInputElement} input
 */

/**
 * @param {object} options
 * @param {"totp" | "backup"} options.kind
 * @param {string} options.submit label of the button
 * @param {string} [options.look] of the button
 * @param {(answer: import("./api.js").CodeAnswer) => Promise<void>} options.answer sends the code
 * @param {(error: import("./api.js").SidekeyError) => boolean | void} [options.refused] true where the page has dealt with it
 * @param {string} [options.hint]
 * @param {number} [options.ring] period of the countdown beside the input, where it is known
 * @param {import("./dom.js").Child[]} [options.more] between the input and the button
 * @param {import("./dom.js").Child[]} [options.actions] beside the button
 * @returns {CodeForm}
 */
export function codeForm({ kind, submit, look = "primary", answer, refused, hint, ring, more = [], actions = [] }) {
  const code = kind === "totp" ? totpField(text("code.label"), hint ?? text("code.hint"), ring) : backupField();
  const next = totpField(text("code.next-label"), text("code.next-hint"), 30);
  next.element.hidden = true;
  const why = h("div", { class: "notices", role: "alert" });
  const waiting = h("p", { class: "waiting", "aria-hidden": "true", hidden: true });
  const button = h("button", { class: `button ${look}` }, submit);
  let busy = false;

  /** @param {boolean} on @param {string} [label] */
  const setBusy = (on, label) => {
    busy = on;
    button.setAttribute("aria-disabled", String(on));
    fill(button, label ?? submit);
  };

  /** @param {number} seconds */
  const holdBack = (seconds) => {
    setBusy(true);
    waiting.hidden = false;
    wait(
      seconds,
      (remaining) => fill(waiting, `${text("wait.label")} `, h("strong", {}, asClock(remaining))),
      () => {
        waiting.hidden = true;
        setBusy(false);
        code.clear();
        if (element.isConnected) announce(text("wait.over"));
      },
    );
  };

  /** @param {unknown} thrown */
  const refuse = (thrown) => {
    const error = asSidekeyError(thrown);
    if (refused?.(error)) return;
    if (error.code === "NEXT_CODE_REQUIRED" && next.element.hidden) {
      next.element.hidden = false;
      fill(why, notice("warning", sentence(error, kind)));
      next.input.focus();
      return;
    }
    code.fail(sentence(error, kind));
    if (error.retryAfter) holdBack(error.retryAfter);
  };

  const send = async () => {
    if (busy) return;
    code.clear();
    next.clear();
    const typed = normalise(kind, code.input.value);
    const typedNext = normalise(kind, next.input.value);
    if (!typed) return code.fail(text(kind === "totp" ? "code.empty" : "backup.empty"));
    if (!next.element.hidden && !typedNext) return next.fail(text("code.next-empty"));
    setBusy(true, text("checking"));
    try {
      await answer({ code: typed, ...(typedNext ? { next_code: typedNext } : {}) });
      setBusy(false);
    } catch (thrown) {
      setBusy(false);
      refuse(thrown);
    }
  };

  const element = h(
    "form",
    {
      class: "code-form",
      novalidate: true,
      submit: (/** @type {Event} */ event) => {
        event.preventDefault();
        send();
      },
    },
    code.element,
    why,
    next.element,
    ...more,
    waiting,
    h("div", { class: "actions" }, button, ...actions),
  );
  return { element, input: code.input };
}

/** @param {string} label @param {string} hint @param {number} [ring] */
function totpField(label, hint, ring) {
  return field({
    label,
    hint,
    beside: ring ? stepRing(ring) : null,
    attributes: { class: "code", inputmode: "numeric", autocomplete: "one-time-code", spellcheck: "false", maxlength: 64, dir: "ltr" },
  });
}

function backupField() {
  return field({
    label: text("backup.label"),
    hint: text("backup.hint"),
    attributes: { class: "code backup", autocomplete: "off", autocapitalize: "characters", spellcheck: "false", maxlength: 64, dir: "ltr" },
  });
}
