// @ts-check
/** Dates as people of the page's language write them. */

import { serverNow } from "./clock.js";
import { language } from "./place.js";

const day = new Intl.DateTimeFormat(language, { dateStyle: "medium" });
const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });

/** @param {string | number} time RFC 3339, or ms since 1970 */
export const date = (time) => day.format(new Date(time));

/** @param {number} seconds since 1970 */
export const dateAndTime = (seconds) => moment.format(new Date(seconds * 1000));

/** Largest first: unit and its length in seconds. @type {readonly (readonly [Intl.RelativeTimeFormatUnit, number])[]} */
const units = [["year", 31_556_952], ["month", 2_629_746], ["day", 86_400], ["hour", 3600], ["minute", 60]];

/** "3 hours ago", by the server's clock. @param {string} time RFC 3339 */
export function ago(time) {
  const seconds = (serverNow() - Date.parse(time)) / 1000;
  for (const [unit, length] of units) {
    if (seconds >= length) return relative.format(-Math.floor(seconds / length), unit);
  }
  return relative.format(0, "minute");
}
