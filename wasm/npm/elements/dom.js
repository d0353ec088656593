// @ts-check
/** Elements without `innerHTML`: text is always text, and a policy of Trusted Types has nothing to refuse. */

/** @typedef {Node | string | null | undefined | false} Child */
/** @typedef {Record<string, string | number | boolean | null | undefined | ((event: any) => void)>} Attributes */

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Attributes} [attributes] a function listens to the event of that name; true and false set and leave out
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, attributes = {}, ...children) {
  return dress(document.createElement(tag), attributes, children);
}

/**
 * @template {keyof SVGElementTagNameMap} T
 * @param {T} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {SVGElementTagNameMap[T]}
 */
export function svg(tag, attributes = {}, ...children) {
  return dress(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

/**
 * @template {Element} E
 * @param {E} element
 * @param {Attributes} attributes
 * @param {Child[]} children
 */
function dress(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...present(children));
  return element;
}

/** @param {Child[]} children */
export const present = (children) => children.filter((child) => child !== null && child !== undefined && child !== false);

let lastId = 0;

/** An id that no other element of the page has. @param {string} name */
export function freshId(name) {
  lastId += 1;
  return `sidekey-${name}-${lastId}`;
}

/**
 * The shadow tree of an element, open, so that tests, password managers and assistive technology see into it.
 * @param {HTMLElement} host
 * @param {string} css not through `<style>`, which a strict policy forbids
 * @param {...Child} children
 */
export function shadow(host, css, ...children) {
  const root = host.attachShadow({ mode: "open" });
  root.adoptedStyleSheets = [sheet(css)];
  root.append(...present(children));
  return root;
}

/** @type {Map<string, CSSStyleSheet>} */
const sheets = new Map();

/** One sheet for all elements of a kind. @param {string} css */
export function sheet(css) {
  const made = sheets.get(css) ?? new CSSStyleSheet();
  if (!sheets.has(css)) {
    made.replaceSync(css);
    sheets.set(css, made);
  }
  return made;
}

/** A place that is read out when its text changes, and not seen. */
export const announcer = () => h("div", { role: "status", class: "unseen" });

/** Says something; two equal texts in a row would be silent, so the change has to be seen. @param {HTMLElement} place @param {string} said */
export function announce(place, said) {
  place.textContent = "";
  setTimeout(() => {
    place.textContent = said;
  }, 50);
}
