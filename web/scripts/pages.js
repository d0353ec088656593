// @ts-check
/**
 * What scripts add to pages that work without them: copying, printing, countdowns, times in the reader's own way, and a word about a clock
 * that is off. The sentences come from the server, in `data-` attributes.
 */

import { learnFrom, offset } from "./clock.js";
import { onCopy } from "./copy.js";
import { ring, wait } from "./countdown.js";

/** Seconds that a clock may be off before codes fail. */
const CLOCK_MATTERS_S = 25;

const language = document.documentElement.lang;

for (const element of all(".needs-script")) element.hidden = false;
for (const button of all("[data-copy]")) onCopy(button);
for (const button of all("[data-print]")) button.addEventListener("click", () => print());
for (const notice of all("[data-wait]")) showWait(notice);
for (const time of document.querySelectorAll("time")) showTime(time);
watchClock();

/** @param {string} selector @returns {NodeListOf<HTMLElement>} */
function all(selector) {
  return document.querySelectorAll(selector);
}

/** @param {HTMLElement} notice */
function showWait(notice) {
  const shown = notice.querySelector("strong");
  const { wait: seconds = "0", over = "" } = notice.dataset;
  wait(
    Number(seconds),
    (left) => shown?.replaceChildren(asClock(left)),
    () => {
      notice.textContent = over;
      notice.setAttribute("role", "status");
    },
  );
}

/** "0:45" or "12:05". @param {number} seconds */
function asClock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** @param {HTMLTimeElement} time */
function showTime(time) {
  const moment = new Date(time.dateTime);
  if (Number.isNaN(moment.getTime())) return;
  time.title = time.textContent ?? "";
  time.textContent = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(moment);
}

/** Asks the server for its time where a page shows codes that depend on it. */
async function watchClock() {
  const notice = document.querySelector("[data-clock]");
  const rings = all("[data-period]");
  if (!(notice instanceof HTMLElement) && rings.length === 0) return;
  for (const element of rings) ring(element, Number(element.dataset["period"]));
  const address = (notice ?? rings[0])?.closest("main")?.dataset["time"];
  if (!address) return;
  const sent = Date.now();
  try {
    learnFrom(await fetch(address, { cache: "no-store" }), sent, Date.now());
  } catch {
    return;
  }
  const off = Math.round(Math.abs(offset()) / 1000);
  if (notice instanceof HTMLElement && off >= CLOCK_MATTERS_S) {
    notice.textContent = (notice.dataset["clock"] ?? "").replace("%", new Intl.NumberFormat(language).format(off));
    notice.hidden = false;
  }
}
