// @ts-check
/** Where this page stands: base path, product name, addresses of the other pages, and the session that the link names. */

const root = document.documentElement;

/** Prefix of every address of this server: empty, or a path such as `/api`. */
export const base = root.getAttribute("data-base") ?? "";

/** Name of the product that people sign in to. */
export const issuer = root.getAttribute("data-issuer") || "Sidekey";

/** Language of the page, for `Intl`. */
export const language = root.lang || "en";

/** @typedef {"enroll" | "challenge" | "account"} Page */

/**
 * @param {Page} page
 * @param {string} [sessionId] goes into the fragment, which no browser sends to a server
 */
export function pageAddress(page, sessionId) {
  return `${base}/2fa/${page}/${sessionId ? `#${sessionId}` : ""}`;
}

/** The session id of the link that led here, or an empty string. */
export function sessionOfLink() {
  return location.hash.slice(1);
}

/**
 * The address to continue at, or null where it is none that a browser may be sent to (`javascript:` and its like).
 * @param {string | null | undefined} address
 */
export function webAddress(address) {
  if (!address || !URL.canParse(address, location.href)) return null;
  const url = new URL(address, location.href);
  return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
}

/** A second link opened in the same tab changes only the fragment: start anew with its session. */
export function followNewLinks() {
  addEventListener("hashchange", () => location.reload());
}

/**
 * Leaves without a trace in the history, so that "back" does not return to a page that is spent.
 * @param {string} address
 */
export function leaveTo(address) {
  location.replace(address);
}
