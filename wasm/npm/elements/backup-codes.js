// @ts-check
/** Backup codes as something to keep: copied, as a file, on paper. */

import { h, sheet } from "./dom.js";
import { printStyles } from "./styles.js";

/** @typedef {import("./element.js").SidekeyElement} SidekeyElement */
/** @typedef {{ issuer: string, account: string, made: number }} About `made` in ms since 1970 */

/** What stands above the codes. @param {SidekeyElement} element @param {About} about */
function head(element, { issuer, account, made }) {
  const date = new Intl.DateTimeFormat(element.language, { dateStyle: "long" }).format(made);
  const title = element.text("codes.file-title", { issuer });
  return [title, account && element.text("codes.file-account", { account }), element.text("codes.file-date", { date })].filter(Boolean);
}

/** Saves them as a text file. @param {SidekeyElement} element @param {string[]} codes @param {About} about */
export function downloadCodes(element, codes, about) {
  const lines = [...head(element, about), "", ...codes, "", element.text("codes.file-advice"), ""];
  const address = URL.createObjectURL(new Blob([lines.join("\r\n")], { type: "text/plain;charset=utf-8" }));
  const name = about.issuer.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").toLowerCase();
  h("a", { href: address, download: `${name || "sidekey"}-backup-codes.txt` }).click();
  // The browser reads the blob after this turn; a minute is plenty, and then nothing of it stays in memory.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** Prints them and nothing else of the page. @param {SidekeyElement} element @param {string[]} codes @param {About} about */
export function printCodes(element, codes, about) {
  const [title = "", ...facts] = head(element, about);
  const page = h(
    "div",
    { class: "sidekey-sheet" },
    h("h1", {}, title),
    ...facts.map((fact) => h("p", {}, fact)),
    h("ol", { dir: "ltr" }, ...codes.map((code) => h("li", {}, code))),
    h("p", {}, element.text("codes.file-advice")),
  );
  const style = sheet(printStyles);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, style];
  document.body.append(page);
  addEventListener(
    "afterprint",
    () => {
      page.remove();
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== style);
    },
    { once: true },
  );
  print();
}
