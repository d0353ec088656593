// @ts-check
/**
 * What scripts add to pages that work without them: the package's custom elements around the fields, the QR code and the backup codes,
 * and times and numbers in the reader's own way. The sentences come from the server, in a block of JSON.
 */

import { define } from "../generated/sidekey/elements/index.js";

const language = document.documentElement.lang;

speak();
define();
for (const time of document.querySelectorAll("time")) showTime(time);
for (const place of document.querySelectorAll("[data-numbers]")) showNumbers(place);
addEventListener("sidekey-wait-over", (event) => {
  if (event.target instanceof Element) event.target.closest(".card, details")?.querySelector(".waiting")?.remove();
});

/** Gives the elements the page's language, before they say anything. */
function speak() {
  const messages = JSON.parse(document.getElementById("texts")?.textContent || "{}");
  for (const element of document.querySelectorAll("sidekey-enroll, sidekey-code-input")) Object.assign(element, { messages });
}

/** @param {HTMLTimeElement} time */
function showTime(time) {
  const moment = new Date(time.dateTime);
  if (Number.isNaN(moment.getTime())) return;
  time.title = time.textContent ?? "";
  time.textContent = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(moment);
}

/**
 * Numbers in the digits that the reader's browser has for the language. The server isolates values where another script's digits may be
 * usual; those within a name stay as they are.
 * @param {Node} place
 */
function showNumbers(place) {
  const format = new Intl.NumberFormat(language, { useGrouping: false });
  for (const node of place.childNodes) {
    if (node.nodeType !== Node.TEXT_NODE) showNumbers(node);
    const shown = node.nodeValue?.replace(/(?<=\u2068)\d+(?=\u2069)/g, (digits) => format.format(Number(digits)));
    // What has not changed is not written: an alert would be read out twice.
    if (shown && shown !== node.nodeValue) node.nodeValue = shown;
  }
}
