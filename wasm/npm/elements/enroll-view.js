// @ts-check
/** The steps of `<sidekey-enroll>` as DOM, where it draws them itself. */

import { buildUri, formatSecret, parseUri } from "../index.js";
import { freshId, h } from "./dom.js";

/** @typedef {import("./sidekey-enroll.js").SidekeyEnroll} SidekeyEnroll */
/** @typedef {import("../client/index.d.ts").Setup} Setup */
/** @typedef {import("./dom.js").Child} Child */

/** @param {string} label @param {(event: Event) => void} click @param {string} [look] */
export const button = (label, click, look = "") => h("button", { type: "button", part: `button ${look}`.trim(), class: `button ${look}`, click }, label);

/**
 * One step: a heading, which takes the focus, and what is below it.
 * @param {string} heading
 * @param {...Child} content
 */
export function view(heading, ...content) {
  return h("section", { part: "view", class: "view" }, h("h2", { part: "heading", tabindex: -1 }, heading), ...content);
}

/** What a key URI says; where the core cannot run, what Sidekey's keys are. @param {string} uri */
function kindOf(uri) {
  try {
    return parseUri(uri);
  } catch {
    return { digits: 6, period: 30, issuer: "", account: "" };
  }
}

/**
 * @param {SidekeyEnroll} element
 * @param {Setup} setup
 * @param {object} hooks
 * @param {(event: SubmitEvent) => void} hooks.submit
 * @param {(key: string, shown: Element) => void} hooks.copy
 */
export function setupView(element, setup, { submit, copy }) {
  const { digits, period } = kindOf(setup.provisioning_uri);
  const qr = picture(setup);
  const input = /** @type {import("./sidekey-code-input.js").SidekeyCodeInput} */ (document.createElement("sidekey-code-input"));
  for (const [name, value] of Object.entries({ digits, period, exportparts: "ring, wait, row" })) input.setAttribute(name, String(value));
  const send = h("button", { part: "button primary", class: "button primary" }, element.text("enroll.confirm"));
  const checks = h("div", {});
  const shown = view(
    element.text("enroll.title"),
    h("p", {}, element.text("enroll.lead", { period })),
    h(
      "ol",
      { part: "steps", class: "steps" },
      h("li", { part: "step", class: "step" }, ...connecting(element, setup, { qr, digits, copy }), checks),
      h("li", { part: "step", class: "step" }, h("h3", {}, element.text("enroll.type")), h("form", { novalidate: true, submit }, input, send)),
    ),
  );
  return { shown, qr, input, send, checks };
}

/**
 * On a phone the app is most likely at hand, and no camera sees its own screen: the link comes first there.
 * @param {SidekeyEnroll} element
 * @param {Setup} setup
 * @param {{ qr: Element, digits: number, copy: (key: string, shown: Element) => void }} parts
 * @returns {Child[]}
 */
function connecting(element, setup, { qr, digits, copy }) {
  const byHand = keyByHand(element, setup.secret, digits, copy);
  const apple = appleLink(element, setup.provisioning_uri);
  const noApp = h("p", { class: "hint" }, element.text("enroll.no-app"));
  const link = (/** @type {string} */ look) => h("a", { part: "link", class: look, href: setup.provisioning_uri }, element.text("enroll.open"));
  if (matchMedia("(pointer: coarse)").matches) {
    const others = [noApp, ...byHand, h("h4", {}, element.text("enroll.other-device")), qr];
    return [h("h3", {}, element.text("enroll.open-touch")), link("button primary wide"), apple, ...others];
  }
  const beside = h("div", { class: "stack" }, ...byHand, h("p", {}, link("")), apple && h("p", {}, apple));
  return [h("h3", {}, element.text("enroll.scan")), h("div", { class: "scan" }, qr, beside), noApp];
}

/** @param {Setup} setup */
function picture(setup) {
  const qr = /** @type {import("./sidekey-qr.js").SidekeyQr} */ (document.createElement("sidekey-qr"));
  // Where the core cannot run, the server's picture stands in.
  qr.addEventListener("sidekey-error", (event) => {
    event.stopPropagation();
    qr.append(h("img", { src: setup.qr_code_base64, alt: "" }));
  });
  qr.setAttribute("part", "qr");
  qr.setAttribute("uri", setup.provisioning_uri);
  return qr;
}

/**
 * The key in groups of four; the gaps are drawn, so that a selection copies none.
 * @param {SidekeyEnroll} element
 * @param {string} secret
 * @param {number} digits
 * @param {(key: string, shown: Element) => void} copy
 */
function keyByHand(element, secret, digits, copy) {
  const groups = grouped(secret).flatMap((group) => [h("span", {}, group), h("wbr")]);
  const key = h("code", { part: "key", class: "key", dir: "ltr", translate: "no" }, ...groups);
  return [
    h("h4", {}, element.text("enroll.key")),
    h("p", {}, key),
    h("p", { class: "hint" }, element.text("enroll.key-kind", { digits })),
    button(element.text("enroll.copy-key"), () => copy(secret, key)),
  ];
}

/** @param {string} secret */
function grouped(secret) {
  try {
    return formatSecret(secret).split(" ");
  } catch {
    return [secret];
  }
}

/** Apple's own scheme wants the site's domain as issuer, so that Passwords finds the entry; only its devices know it. @param {SidekeyEnroll} element @param {string} uri */
function appleLink(element, uri) {
  if (!/iPhone|iPad|Macintosh/.test(navigator.userAgent)) return null;
  try {
    const href = buildUri({ ...parseUri(uri), issuer: element.getAttribute("domain") ?? location.hostname }, { scheme: "apple-otpauth" });
    return h("a", { part: "link apple-link", href }, element.text("enroll.open-apple"));
  } catch {
    return null;
  }
}

/**
 * @param {SidekeyEnroll} element
 * @param {string[]} codes
 * @param {{ copy: (list: Element) => void, download: () => void, print: () => void, done: () => void }} hooks
 */
export function codesView(element, codes, { copy, download, print, done }) {
  const list = h("ol", { part: "codes", class: "codes", dir: "ltr", "aria-label": element.text("codes.list") }, ...codes.map((code) => h("li", {}, code)));
  return view(
    element.text("codes.title"),
    h("p", {}, element.text("codes.lead")),
    list,
    h(
      "div",
      { class: "actions" },
      button(element.text("codes.copy"), () => copy(list)),
      button(element.text("codes.download"), download),
      button(element.text("codes.print"), print),
    ),
    gate(element, done),
  );
}

/** No way on before the person says that the codes are kept. @param {SidekeyEnroll} element @param {() => void} done */
function gate(element, done) {
  const id = freshId("saved");
  const box = h("input", { type: "checkbox", id });
  const error = h("p", { part: "error", class: "error", id: `${id}-error`, role: "alert" });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (box.checked) return done();
    error.textContent = element.text("codes.not-saved");
    box.setAttribute("aria-invalid", "true");
    box.setAttribute("aria-describedby", error.id);
    box.focus();
  };
  return h(
    "form",
    { novalidate: true, submit },
    h("div", { class: "check" }, box, h("label", { for: id }, element.text("codes.saved"))),
    error,
    h("button", { part: "button primary", class: "button primary" }, element.text("codes.continue")),
  );
}
