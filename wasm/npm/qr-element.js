// @ts-check
/** A QR code as an element, built piece by piece: a policy of Trusted Types refuses `innerHTML`. */

import { OtpError } from "./error.js";

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {{ side: number, path: string }} drawing
 * @param {string} [title] what assistive technology reads out; without it the code is decoration
 */
export function drawElement({ side, path }, title) {
  if (typeof document === "undefined") {
    throw new OtpError("DOM_UNAVAILABLE", "there is no document to make an element for: use `qrSvg`");
  }
  const svg = element("svg", { viewBox: `0 0 ${side} ${side}`, "shape-rendering": "crispEdges" });
  if (title === undefined) svg.setAttribute("aria-hidden", "true");
  else {
    svg.setAttribute("role", "img");
    svg.append(element("title", {}, title));
  }
  svg.append(element("rect", { width: side, height: side, fill: "#fff" }), element("path", { fill: "#000", d: path }));
  return svg;
}

/**
 * @template {keyof SVGElementTagNameMap} T
 * @param {T} name
 * @param {Record<string, string | number>} attributes
 * @param {string} [content]
 * @returns {SVGElementTagNameMap[T]}
 */
function element(name, attributes, content) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, String(value));
  if (content !== undefined) made.append(content);
  return made;
}
