// @ts-check
/** Demo page: plays the host application. Exists in development mode only. */

import { demoSignIn } from "./api.js";
import { copyText } from "./copy.js";
import { h, icon } from "./dom.js";
import { field } from "./field.js";
import { dateAndTime } from "./format.js";
import { isMessage, sentence, text } from "./messages.js";
import { pageAddress, webAddress } from "./place.js";
import { accountName, authorized, isSignedIn, keepTokens, signOut } from "./session.js";
import { announce, asSidekeyError, button, linkButton, notice, show } from "./view.js";

/** Claims that are Unix times. */
const TIMES = new Set(["iat", "exp", "auth_time", "nbf"]);

begin();

async function begin() {
  if (!isSignedIn()) return askForUser();
  try {
    showSignedIn(await authorized(async (token) => token));
  } catch (error) {
    askForUser(sentence(asSidekeyError(error)));
  }
}

/** @param {string} [problem] */
function askForUser(problem) {
  const user = field({ label: text("demo.user"), attributes: { autocomplete: "username", autocapitalize: "none", spellcheck: "false", maxlength: 255, name: "username" } });
  const password = field({ label: text("demo.password"), hint: text("demo.password-hint"), attributes: { type: "password", autocomplete: "off", name: "password" } });
  /** @param {Event} event */
  const submit = async (event) => {
    event.preventDefault();
    user.clear();
    const name = user.input.value.trim();
    if (!name) return user.fail(text("demo.user-empty"));
    try {
      follow(await demoSignIn(name), name);
    } catch (error) {
      user.fail(sentence(asSidekeyError(error)));
    }
  };
  show(
    text("demo.title"),
    [
      h("p", { class: "lead" }, text("demo.lead")),
      problem && notice("warning", problem),
      h("form", { class: "card", novalidate: true, submit }, user.element, password.element, h("div", { class: "actions" }, h("button", { class: "button primary" }, text("demo.submit")))),
    ],
    { focus: user.input },
  );
}

/**
 * What any host application does with the answer to opening a session.
 * @param {import("./api.js").Opened} opened
 * @param {string} name
 */
function follow(opened, name) {
  const address = webAddress(opened.requires_enrollment ? opened.enroll_url : opened.verify_url);
  if (opened.requires_2fa && address) return location.assign(address);
  const { access_token, refresh_token, expires_in } = opened;
  if (!access_token || !refresh_token) throw new Error("an answer with neither challenge nor tokens");
  keepTokens({ access_token, refresh_token, ...(expires_in ? { expires_in } : {}) }, name);
  showSignedIn(access_token);
}

/** @param {string} token */
function showSignedIn(token) {
  const claims = claimsOf(token);
  const raw = h("code", { class: "token", dir: "ltr", tabindex: 0, role: "group", "aria-label": text("demo.token") }, token);
  show(text("demo.in", { account: accountName() || String(claims["sub"]) }), [
    h("p", { class: "lead" }, text("demo.in-lead")),
    h(
      "section",
      { class: "card" },
      claimTable(claims),
      raw,
      h("div", { class: "actions" }, h("button", { type: "button", class: "button", click: () => copyText(token, raw, text("demo.copied")) }, icon("copy"), text("demo.copy"))),
    ),
    h("div", { class: "actions" }, linkButton(text("demo.account"), pageAddress("account"), "primary"), button(text("account.sign-out"), leave)),
  ]);
}

async function leave() {
  await signOut();
  askForUser();
  announce(text("demo.signed-out"));
}

/** Read only to show them: a host application verifies the signature with the JWKS first. @param {string} token @returns {Record<string, unknown>} */
function claimsOf(token) {
  const payload = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
  const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

/** @param {Record<string, unknown>} claims */
function claimTable(claims) {
  /** @param {[string, unknown]} claim */
  const line = ([name, value]) => {
    const key = `claim.${name}`;
    return h("tr", {}, h("th", { scope: "row" }, h("code", {}, name)), h("td", {}, shown(name, value)), h("td", { class: "hint" }, isMessage(key) && text(key)));
  };
  /** @param {import("./messages.js").MessageKey} key */
  const head = (key) => h("th", { scope: "col" }, text(key));
  return h(
    "table",
    { class: "claims" },
    h("caption", {}, text("demo.claims")),
    h("thead", {}, h("tr", {}, head("demo.claim"), head("demo.value"), head("demo.meaning"))),
    h("tbody", {}, ...Object.entries(claims).map(line)),
  );
}

/** @param {string} name @param {unknown} value */
function shown(name, value) {
  if (TIMES.has(name) && typeof value === "number") return dateAndTime(value);
  return Array.isArray(value) ? value.join(", ") || "–" : String(value);
}
