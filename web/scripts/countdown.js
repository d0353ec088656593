// @ts-check
/** Things that tick. They are for the eye only: what matters is also said in words, once. */

import { serverNow } from "./clock.js";

/** Where the circles of the ring lie. */
const SVG = "http://www.w3.org/2000/svg";

/**
 * A ring that empties until the current time step ends, by the server's clock.
 * @param {HTMLElement} place
 * @param {number} period seconds
 */
export function ring(place, period) {
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", "0 0 40 40");
  const [track, hand] = [circle("track"), circle("hand")];
  hand.setAttribute("pathLength", "100");
  picture.append(track, hand);
  const left = document.createElement("span");
  left.className = "left";
  place.replaceChildren(picture, left);
  place.hidden = false;
  const tick = () => {
    const now = serverNow();
    const remaining = period - ((now / 1000) % period);
    left.textContent = String(Math.ceil(remaining));
    hand.setAttribute("stroke-dasharray", `${(Math.ceil(remaining) / period) * 100} 100`);
    place.classList.toggle("soon", remaining <= 5);
    setTimeout(tick, 1000 - (now % 1000) + 5);
  };
  tick();
}

/** @param {string} name */
function circle(name) {
  const element = document.createElementNS(SVG, "circle");
  element.setAttribute("class", name);
  for (const [key, value] of [["cx", "20"], ["cy", "20"], ["r", "17"]]) element.setAttribute(String(key), String(value));
  return element;
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
