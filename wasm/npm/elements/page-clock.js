// @ts-check
/** The server's clock as a page tells it: the attribute `server-time`, written when the page was rendered. */

import { ServerClock } from "../client/clock.js";

/**
 * @param {Element} element
 * @returns {ServerClock}
 */
export function pageClock(element) {
  const clock = new ServerClock();
  const told = element.getAttribute("server-time") ?? element.closest("[server-time]")?.getAttribute("server-time") ?? "";
  const time = /^\d+$/.test(told) ? Number(told) : Date.parse(told);
  if (!Number.isNaN(time)) clock.learnFromPage(time, pageReceivedAt());
  return clock;
}

/** What this device's clock, as it goes now, would have shown when the first byte of the page came, in ms. */
function pageReceivedAt() {
  return Date.now() - pageAge() * 1000;
}

/** Seconds since the page came, for what it counts down. */
export function pageAge() {
  return (performance.now() - (navigation()?.responseStart ?? 0)) / 1000;
}

/** @returns {PerformanceNavigationTiming | undefined} */
function navigation() {
  return /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"))[0];
}
