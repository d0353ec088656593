// @ts-check
/** `<sidekey-qr>`: a QR code, drawn here or around the one that the server has drawn. */

import { qrElement } from "../index.js";
import { h, shadow } from "./dom.js";
import { SidekeyElement } from "./element.js";
import { matrixOfPath, readQr } from "./read-qr.js";
import { qrStyles } from "./styles.js";

/** @implements {Pick<import("./index.d.ts").SidekeyQr, "uri" | "label" | "check">} */
export class SidekeyQr extends SidekeyElement {
  static observedAttributes = ["uri", "label"];

  #slot = h("slot", { slotchange: () => this.#arrange() });
  #drawing = h("div", { "aria-hidden": "true" });
  #frame = h("div", { part: "frame", class: "frame", role: "img" }, this.#slot, this.#drawing);

  constructor() {
    super();
    shadow(this, qrStyles, this.#frame);
  }

  connectedCallback() {
    this.upgrade("uri", "label");
    this.#arrange();
  }

  attributeChangedCallback() {
    if (this.isConnected) this.#arrange();
  }

  /** @override */
  messagesChanged() {
    this.attributeChangedCallback();
  }

  /** The text of the QR code. */
  get uri() {
    return this.getAttribute("uri") ?? "";
  }

  set uri(uri) {
    this.setAttribute("uri", uri);
  }

  /** Its accessible name. */
  get label() {
    return this.getAttribute("label") ?? "";
  }

  set label(label) {
    this.setAttribute("label", label);
  }

  /**
   * Reads back what is on the screen: `differs` where it is not the text of `uri`, `unknown` for a picture that is no SVG of
   * Sidekey's.
   * @returns {"same" | "differs" | "unknown"}
   */
  check() {
    const shown = this.querySelector(":scope > svg, :scope > * svg") ?? this.#drawing.querySelector("svg");
    const matrix = shown && matrixOfPath(shown.getAttribute("viewBox") ?? "", shown.querySelector("path")?.getAttribute("d") ?? "");
    if (!matrix) return "unknown";
    return readQr(matrix) === this.uri ? "same" : "differs";
  }

  /** The server's picture where there is one, else an own drawing; one accessible name, and nothing to read inside. */
  #arrange() {
    const given = this.#slot.assignedElements().filter((element) => element.localName !== "script");
    this.#slot.hidden = given.length === 0;
    this.#drawing.hidden = given.length > 0;
    const name = this.label || nameOf(given[0]) || this.text("qr.label");
    for (const element of given) element.setAttribute("aria-hidden", "true");
    if (given.length === 0) this.#draw();
    else this.#measure(given[0]);
    this.#frame.setAttribute("aria-label", name);
    this.#frame.hidden = given.length === 0 && !this.#drawing.firstChild;
  }

  #draw() {
    this.#drawing.replaceChildren();
    if (!this.uri) return;
    try {
      const picture = qrElement(this.uri);
      picture.setAttribute("part", "picture");
      this.#drawing.append(picture);
      this.#measure(picture);
    } catch (error) {
      this.tell("sidekey-error", { error });
    }
  }

  /** Tells the style how many modules share the width. @param {Element | undefined} picture */
  #measure(picture) {
    const side = /^0 0 (\d+) /.exec(picture?.getAttribute("viewBox") ?? "")?.[1];
    if (side) this.#frame.style.setProperty("--_modules", side);
    else this.#frame.style.removeProperty("--_modules");
  }
}

/** What a picture is called, so that the name moves from it to the frame. @param {Element | undefined} picture */
function nameOf(picture) {
  return picture?.getAttribute("aria-label") || picture?.getAttribute("alt") || picture?.querySelector("title")?.textContent || "";
}
