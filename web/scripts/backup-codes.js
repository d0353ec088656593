// @ts-check
/** Shows fresh backup codes, once: copy, download, print, and no way on before the person says that they are kept. */

import { copyText } from "./copy.js";
import { freshId, h, icon } from "./dom.js";
import { serverNow } from "./clock.js";
import { date } from "./format.js";
import { text } from "./messages.js";
import { issuer } from "./place.js";
import { announce, notice, show } from "./view.js";

/**
 * @param {string[]} codes
 * @param {object} options
 * @param {string} options.account name of the account, or empty
 * @param {boolean} [options.replaced] whether there were earlier ones
 * @param {() => void} options.done goes on
 */
export function showBackupCodes(codes, { account, replaced, done }) {
  const list = h("ol", { class: "codes", dir: "ltr", "aria-label": text("codes.list") }, ...codes.map((code) => h("li", {}, h("code", {}, code))));
  addEventListener("beforeunload", warn);
  const finished = () => {
    removeEventListener("beforeunload", warn);
    done();
  };
  show(text("codes.title"), [
    h("p", { class: "lead screen-only" }, text("codes.lead")),
    replaced && notice("info", text("codes.replaced")),
    h(
      "section",
      { class: "card sheet" },
      h("p", { class: "print-only" }, h("strong", {}, text("codes.file-title")), h("br"), ...asLines(facts(account)), text("codes.file-advice")),
      list,
      h(
        "div",
        { class: "actions screen-only" },
        tool("copy", text("codes.copy"), () => copyText(codes.join("\n"), list, text("codes.copied"))),
        tool("download", text("codes.download"), () => download(codes, account)),
        tool("print", text("codes.print"), () => print()),
      ),
    ),
    gate(finished),
  ]);
}

/** The codes cannot be shown again: leaving without them asks first. @param {BeforeUnloadEvent} event */
function warn(event) {
  event.preventDefault();
}

/** @param {Parameters<typeof icon>[0]} name @param {string} label @param {() => void} click */
const tool = (name, label, click) => h("button", { type: "button", class: "button", click }, icon(name), label);

/** @param {() => void} finished */
function gate(finished) {
  const id = freshId("saved");
  const box = h("input", { type: "checkbox", id });
  const error = h("p", { class: "error", id: `${id}-error`, role: "alert" });
  return h(
    "form",
    {
      class: "gate screen-only",
      novalidate: true,
      submit: (/** @type {Event} */ event) => {
        event.preventDefault();
        if (box.checked) return finished();
        error.textContent = text("codes.not-saved");
        box.setAttribute("aria-invalid", "true");
        box.setAttribute("aria-describedby", error.id);
        box.focus();
      },
    },
    h("div", { class: "check" }, box, h("label", { for: id }, text("codes.saved"))),
    error,
    h("button", { class: "button primary" }, text("continue")),
  );
}

/** @param {string} account */
function facts(account) {
  return [account && text("codes.file-account", { account }), text("codes.file-date", { date: date(serverNow()) })].filter((line) => line !== "");
}

/** @param {string[]} lines */
const asLines = (lines) => lines.flatMap((line) => [line, h("br")]);

/** @param {string[]} codes @param {string} account */
function download(codes, account) {
  const lines = [text("codes.file-title"), ...facts(account), "", ...codes, "", text("codes.file-advice"), ""];
  const address = URL.createObjectURL(new Blob([lines.join("\r\n")], { type: "text/plain;charset=utf-8" }));
  const name = issuer.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").toLowerCase();
  h("a", { href: address, download: `${name || "sidekey"}-backup-codes.txt` }).click();
  // The browser reads the blob after this turn; a minute is plenty, and then nothing of it stays in memory.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
  announce(text("codes.downloaded"));
}
