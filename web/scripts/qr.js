// @ts-check
/** QR codes as pictures: black on white with a margin of 4 modules (ISO/IEC 18004), whatever the colours of the page. */

import { h, svg } from "./dom.js";
import { text } from "./messages.js";

const QUIET_ZONE = 4;
const LARGEST_SIDE_PX = 296;
/** What the page and its card leave free at both sides of a narrow window. */
const MARGINS_PX = 60;

/**
 * @param {import("./wasm.js").Core | null} core
 * @param {string} content
 * @param {string} picture the same as a data URI, for where the core cannot run
 */
export function qrCode(core, content, picture) {
  const drawn = core ? drawing(core.qrMatrix(content)) : h("img", { src: picture, alt: "", width: LARGEST_SIDE_PX });
  drawn.setAttribute("aria-hidden", "true");
  return h("div", { class: "qr", role: "img", "aria-label": text("enroll.qr") }, drawn);
}

/** Whole pixels per module, so that cameras see sharp edges. @param {{ size: number, modules: Uint8Array }} matrix */
function drawing({ size, modules }) {
  const whole = size + 2 * QUIET_ZONE;
  const room = Math.min(LARGEST_SIDE_PX, document.documentElement.clientWidth - MARGINS_PX);
  const side = whole * Math.max(3, Math.floor(room / whole));
  return svg(
    "svg",
    { viewBox: `0 0 ${whole} ${whole}`, width: side, height: side, "shape-rendering": "crispEdges", focusable: "false" },
    svg("rect", { width: whole, height: whole, fill: "#fff" }),
    svg("path", { d: darkRuns(size, modules), fill: "#000" }),
  );
}

/** One rectangle for each horizontal run of dark modules. @param {number} size @param {Uint8Array} modules */
function darkRuns(size, modules) {
  let path = "";
  for (let row = 0; row < size; row += 1) {
    let column = 0;
    while (column < size) {
      const start = column;
      while (column < size && modules[row * size + column] === 1) column += 1;
      const length = column - start;
      if (length > 0) path += `M${start + QUIET_ZONE} ${row + QUIET_ZONE}h${length}v1h-${length}z`;
      else column += 1;
    }
  }
  return path;
}
