// @ts-check
/** Things that tick. They are for the eye only: what matters is also said in words, once. */

import { h, svg } from "./dom.js";

/**
 * A ring that empties until the current time step ends. It stops when it has left the page.
 * @param {number} period seconds
 * @param {{ now: () => number }} clock
 * @param {string} language
 */
export function stepRing(period, clock, language) {
  const digits = new Intl.NumberFormat(language);
  const hand = svg("circle", { cx: 20, cy: 20, r: 17, pathLength: 100, part: "ring-hand", class: "hand" });
  const left = h("span", { class: "left" });
  const track = svg("circle", { cx: 20, cy: 20, r: 17, class: "track" });
  const ring = h("span", { part: "ring", class: "ring", "aria-hidden": "true" }, svg("svg", { viewBox: "0 0 40 40" }, track, hand), left);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const tick = () => {
    const now = clock.now();
    const remaining = Math.ceil(period - ((now / 1000) % period));
    left.textContent = digits.format(remaining);
    hand.setAttribute("stroke-dasharray", `${(remaining / period) * 100} 100`);
    ring.classList.toggle("soon", remaining <= 5);
    timer = setTimeout(tick, 1000 - (now % 1000) + 5);
  };
  return { ring, start: () => (clearTimeout(timer), tick()), stop: () => clearTimeout(timer) };
}

/**
 * Counts down to zero by this device's own steady clock.
 * @param {number} seconds
 * @param {(remaining: number) => void} onTick called at once and then every second
 * @param {() => void} onEnd
 * @returns {() => void} ends it early and in silence
 */
export function countDown(seconds, onTick, onEnd) {
  const end = performance.now() + seconds * 1000;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const tick = () => {
    const remaining = Math.ceil((end - performance.now()) / 1000);
    if (remaining <= 0) return onEnd();
    onTick(remaining);
    timer = setTimeout(tick, Math.max(50, end - performance.now() - (remaining - 1) * 1000));
  };
  tick();
  return () => clearTimeout(timer);
}

/** "0:45" or "12:05", in the digits of the language. @param {number} seconds @param {string} language */
export function asClock(seconds, language) {
  const minutes = new Intl.NumberFormat(language).format(Math.floor(seconds / 60));
  return `${minutes}:${new Intl.NumberFormat(language, { minimumIntegerDigits: 2 }).format(seconds % 60)}`;
}
