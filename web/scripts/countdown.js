// @ts-check
/** Things that tick. They are for the eye only: what matters is also said in words, once. */

import { serverNow } from "./clock.js";
import { h, svg } from "./dom.js";

/**
 * A ring that empties until the current time step ends, by the server's clock.
 * It stops by itself when it has left the page.
 * @param {number} period seconds
 */
export function stepRing(period) {
  const hand = svg("circle", { cx: 20, cy: 20, r: 17, pathLength: 100, class: "hand" });
  const left = h("span", { class: "left" });
  const ring = h(
    "span",
    { class: "ring", "aria-hidden": "true" },
    svg("svg", { viewBox: "0 0 40 40", focusable: "false" }, svg("circle", { cx: 20, cy: 20, r: 17, class: "track" }), hand),
    left,
  );
  let wasOnPage = false;
  const tick = () => {
    if (wasOnPage && !ring.isConnected) return;
    wasOnPage ||= ring.isConnected;
    const now = serverNow();
    const remaining = period - ((now / 1000) % period);
    left.textContent = String(Math.ceil(remaining));
    hand.setAttribute("stroke-dasharray", `${(Math.ceil(remaining) / period) * 100} 100`);
    ring.classList.toggle("soon", remaining <= 5);
    setTimeout(tick, 1000 - (now % 1000) + 5);
  };
  tick();
  return ring;
}

/**
 * Counts down to zero.
 * @param {number} seconds
 * @param {(remaining: number) => void} onTick called at once and then every second
 * @param {() => void} onEnd
 */
export function wait(seconds, onTick, onEnd) {
  const end = performance.now() + seconds * 1000;
  const tick = () => {
    const remaining = Math.ceil((end - performance.now()) / 1000);
    if (remaining <= 0) {
      onEnd();
      return;
    }
    onTick(remaining);
    setTimeout(tick, Math.max(50, end - performance.now() - (remaining - 1) * 1000));
  };
  tick();
}

/** "0:45" or "12:05". @param {number} seconds */
export const asClock = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
