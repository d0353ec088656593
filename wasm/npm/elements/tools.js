// @ts-check
/**
 * The buttons that a server-rendered page brings along, hidden, because they do nothing without a script:
 * `data-sidekey-copy`, `data-sidekey-download` and `data-sidekey-print`, each with the id of what it is about.
 */

import { downloadCodes, printCodes } from "./backup-codes.js";
import { copyText } from "./copy.js";

/** @typedef {import("./element.js").SidekeyElement} SidekeyElement */
/** @typedef {import("./backup-codes.js").About} About */

/**
 * @param {SidekeyElement} element
 * @param {() => About} about
 * @param {(said: string) => void} announce
 */
export function wireTools(element, about, announce) {
  /** @param {string} tool @param {(target: Element) => void} use */
  const wire = (tool, use) => {
    for (const button of element.querySelectorAll(`[data-sidekey-${tool}]`)) {
      const target = document.getElementById(button.getAttribute(`data-sidekey-${tool}`) ?? "");
      if (!target) continue;
      button.toggleAttribute("hidden", false);
      button.addEventListener("click", () => use(target));
    }
  };
  wire("copy", async (target) => {
    const list = target.matches("ol, ul");
    const done = await copyText(list ? itemsOf(target).join("\n") : plain(target), target);
    announce(element.text(done ? (list ? "codes.copied" : "enroll.key-copied") : "copy.select"));
  });
  wire("download", (target) => {
    downloadCodes(element, itemsOf(target), about());
    announce(element.text("codes.downloaded"));
  });
  wire("print", (target) => printCodes(element, itemsOf(target), about()));
}

/** @param {Element} list */
const itemsOf = (list) => [...list.querySelectorAll("li")].map(plain);

/** A key or code without the blanks between its groups. @param {Element} element */
export const plain = (element) => (element.textContent ?? "").replace(/\s/g, "");
