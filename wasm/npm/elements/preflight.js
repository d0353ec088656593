// @ts-check
/** What is checked before anybody scans: does the picture hold the key, and does this device agree with the server on the time? */

import { h } from "./dom.js";
import { duration } from "./messages.js";

/** Half a step of 30 s: beyond it, the code of a right secret may already be refused. */
const CLOCK_TOLERANCE_MS = 15_000;
/** End of the meter. */
const CLOCK_WORST_MS = 60_000;

/** @typedef {import("./index.d.ts").Preflight} Preflight */

/**
 * @param {object} about
 * @param {"same" | "differs" | "unknown"} about.qr what the picture was found to hold
 * @param {string} about.uri the key URI of the page's own link
 * @param {string | null} about.key the key as it is shown, if it is
 * @param {number | null} about.offsetMs the server's clock minus this device's
 * @returns {Preflight}
 */
export function preflight({ qr, uri, key, offsetMs }) {
  const keyDiffers = key !== null && key.replace(/\s/g, "").toUpperCase() !== secretOf(uri);
  return {
    qr: keyDiffers ? "differs" : qr,
    clockOffsetMs: offsetMs === null ? null : -offsetMs,
    clockOff: offsetMs !== null && Math.abs(offsetMs) > CLOCK_TOLERANCE_MS,
  };
}

/** @param {string} uri */
function secretOf(uri) {
  const query = uri.slice(uri.indexOf("?") + 1);
  return new URLSearchParams(query).get("secret")?.toUpperCase();
}

/**
 * The findings in words, and the clock as a meter.
 * @param {import("./element.js").SidekeyElement} element whose language it speaks
 * @param {Preflight} found
 */
export function preflightView(element, { qr, clockOffsetMs, clockOff }) {
  const time = duration(Math.round(Math.abs(clockOffsetMs ?? 0) / 1000), element.language);
  const clock = !clockOff ? "right" : (clockOffsetMs ?? 0) > 0 ? "ahead" : "behind";
  const said = element.text(`preflight.clock-${clock}`, { time });
  return h(
    "div",
    { part: "preflight", class: "preflight", role: "group", "aria-label": element.text("preflight.label") },
    qr === "same" && h("p", { class: "hint" }, element.text("preflight.qr")),
    qr === "differs" && h("p", { part: "warning", class: "warning", role: "alert" }, element.text("preflight.qr-differs")),
    clockOffsetMs !== null && clockMeter(element.text("preflight.clock"), clockOffsetMs, said, clockOff),
    clockOff && h("p", { part: "warning", class: "warning", role: "status" }, said),
  );
}

/**
 * Full when the clocks agree, empty at a minute between them.
 * @param {string} label
 * @param {number} offsetMs
 * @param {string} said
 * @param {boolean} off then it is said below
 */
function clockMeter(label, offsetMs, said, off) {
  const left = (/** @type {number} */ ms) => Math.max(0, Math.round((CLOCK_WORST_MS - ms) / 1000));
  const range = { min: 0, max: left(0), low: left(2 * CLOCK_TOLERANCE_MS), high: left(CLOCK_TOLERANCE_MS), optimum: left(0) };
  const meter = h("meter", { part: "meter", ...range, value: left(Math.abs(offsetMs)), "aria-label": label, "aria-valuetext": said });
  const seen = { "aria-hidden": "true" };
  return h("div", { class: "clock hint" }, h("span", seen, label), meter, !off && h("span", seen, said));
}
