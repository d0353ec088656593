// @ts-check
/**
 * Custom elements for any frontend, and for pages that a server renders. Importing this registers nothing; `define()` does,
 * and so does importing `auto.js`.
 */

import { SidekeyCodeInput } from "./sidekey-code-input.js";
import { SidekeyEnroll } from "./sidekey-enroll.js";
import { SidekeyQr } from "./sidekey-qr.js";

export { english as messages } from "./messages.js";
export { SidekeyCodeInput, SidekeyEnroll, SidekeyQr };

/** Registers the elements, once; where there are none, as on a server that renders pages, does nothing. */
export function define() {
  if (typeof customElements === "undefined") return;
  // The enrolment comes last: it looks at the others inside it.
  const elements = { "sidekey-qr": SidekeyQr, "sidekey-code-input": SidekeyCodeInput, "sidekey-enroll": SidekeyEnroll };
  for (const [name, element] of Object.entries(elements)) {
    if (!customElements.get(name)) customElements.define(name, element);
  }
}
