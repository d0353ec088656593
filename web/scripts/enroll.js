// @ts-check
/** Enrolment page: QR and key, the first code, backup codes, and on to where the person came from. */

import { changeDevice, confirmSetup, SidekeyError, startEnrollment, startSetup } from "./api.js";
import { showBackupCodes } from "./backup-codes.js";
import { codeForm } from "./code-form.js";
import { copyText } from "./copy.js";
import { fill, h, icon } from "./dom.js";
import { field } from "./field.js";
import { text } from "./messages.js";
import { followNewLinks, issuer, leaveTo, pageAddress, sessionOfLink, webAddress } from "./place.js";
import { qrCode } from "./qr.js";
import { accountName, isSignedIn, keepTokens, withSecondFactor } from "./session.js";
import { asSidekeyError, button, linkButton, notice, show, showFailure, showMessage, wayBack } from "./view.js";
import { loadCore } from "./wasm.js";

/**
 * On whose behalf a device is connected: with the link of a sign-in, or as somebody who is signed in.
 * @typedef {object} Person
 * @property {<T>(call: (token: string) => Promise<T>) => Promise<T>} authorized
 * @property {string} account
 * @property {string} issuer
 * @property {string | null} returnAddress of the application, where it is known
 * @property {string} next where to go in the end
 */

/** Failures in a row after which the clock is mentioned. */
const CLOCK_HINT_AFTER = 2;

const sessionId = sessionOfLink();
const touch = matchMedia("(pointer: coarse)").matches;

followNewLinks();
begin();

async function begin() {
  if (!sessionId && !isSignedIn()) return showMessage(text("enroll.no-session"), text("enroll.no-session-lead"));
  try {
    const person = sessionId ? await newcomer(sessionId) : signedIn();
    await connect(person);
  } catch (error) {
    if (!endedBy(error, null)) showFailure(text("failed.title"), error, button(text("try-again"), begin, "primary"));
  }
}

/** @param {string} session @returns {Promise<Person>} */
async function newcomer(session) {
  const enrollment = await startEnrollment(session);
  const returnAddress = webAddress(enrollment.return_url);
  return {
    authorized: (call) => call(enrollment.enrollment_token),
    account: enrollment.account_name ?? "",
    issuer: enrollment.issuer,
    returnAddress,
    next: returnAddress ?? pageAddress("account"),
  };
}

/** @returns {Person} */
function signedIn() {
  return {
    authorized: (call) => withSecondFactor(call, "enroll"),
    account: accountName(),
    issuer,
    returnAddress: pageAddress("account"),
    next: pageAddress("account"),
  };
}

/**
 * Asking again shows the same secret, so a reload, "back" and a second attempt lose nothing.
 * @param {Person} person
 */
async function connect(person) {
  const [setup, core] = await Promise.all([person.authorized(startSetup), loadCore()]);
  const { digits, period } = core?.parseUri(setup.provisioning_uri) ?? { digits: 6, period: 30 };
  const name = nameField();
  const form = confirmForm(person, setup, { digits, period }, name);
  const lead = sessionId ? text("enroll.lead", { period, issuer: person.issuer }) : text("enroll.lead-more");
  show(text("enroll.title"), [
    h("p", { class: "lead" }, lead),
    person.account && h("p", { class: "account" }, `${text("enroll.account")}: `, h("strong", {}, h("bdi", {}, person.account))),
    h(
      "ol",
      { class: "steps" },
      h("li", { class: "card step" }, ...(touch ? onThisDevice(core, setup, digits) : onAnotherDevice(core, setup, digits))),
      h("li", { class: "card step" }, h("h2", {}, text("enroll.type")), form),
    ),
  ]);
}

/** @typedef {import("./wasm.js").Core | null} Core */
/** @typedef {import("./api.js").Setup} Setup */

/** @param {Core} core @param {Setup} setup @param {number} digits */
function onAnotherDevice(core, setup, digits) {
  return [
    h("h2", {}, text("enroll.scan")),
    h(
      "div",
      { class: "scan" },
      qrCode(core, setup.provisioning_uri, setup.qr_code_base64),
      h(
        "div",
        { class: "by-hand" },
        ...keyByHand(core, setup, digits),
        h("p", { class: "hint" }, `${text("enroll.open-here")} `, h("a", { href: setup.provisioning_uri }, text("enroll.open"))),
      ),
    ),
    h("p", { class: "hint" }, text("enroll.no-app")),
  ];
}

/** On a phone the app is most likely at hand: its link comes first. @param {Core} core @param {Setup} setup @param {number} digits */
function onThisDevice(core, setup, digits) {
  return [
    h("h2", {}, text("enroll.open-touch")),
    h("a", { class: "button primary wide", href: setup.provisioning_uri }, icon("open"), text("enroll.open")),
    h("p", { class: "hint" }, text("enroll.no-app")),
    ...keyByHand(core, setup, digits),
    h("h3", {}, text("enroll.other-device")),
    qrCode(core, setup.provisioning_uri, setup.qr_code_base64),
  ];
}

/** The key in groups of four; the gaps are drawn, so that a selection copies none. @param {Core} core @param {Setup} setup @param {number} digits */
function keyByHand(core, setup, digits) {
  const groups = core ? core.formatSecret(setup.secret).split(" ") : [setup.secret];
  const key = h("code", { class: "secret", dir: "ltr", translate: "no" }, ...groups.flatMap((group) => [h("span", {}, group), h("wbr")]));
  return [
    h("h3", {}, text("enroll.key")),
    h("p", {}, key),
    h("p", { class: "hint" }, text("enroll.key-kind", { digits })),
    h(
      "button",
      { type: "button", class: "button", click: () => copyText(setup.secret, key, text("enroll.key-copied")) },
      icon("copy"),
      text("enroll.copy-key"),
    ),
  ];
}

function nameField() {
  return field({
    label: text("enroll.name"),
    optional: true,
    hint: text("enroll.name-hint"),
    attributes: { autocomplete: "off", maxlength: 100, dir: "auto" },
  });
}

/**
 * @param {Person} person
 * @param {Setup} setup
 * @param {{ digits: number, period: number }} kind
 * @param {import("./field.js").Field} name
 */
function confirmForm(person, setup, kind, name) {
  const clockHint = h("div", { class: "notices", role: "status" });
  let wrong = 0;
  const form = codeForm({
    kind: "totp",
    submit: text("enroll.confirm"),
    hint: text("code.hint-exact", kind),
    ring: kind.period,
    more: [clockHint, name.element],
    answer: async (answer) => {
      const confirmed = await person.authorized((token) => confirmSetup(token, setup.device_id, answer));
      keepTokens(confirmed, person.account);
      await nameDevice(confirmed.access_token, setup.device_id, name.input.value.trim());
      finish({ ...person, next: webAddress(confirmed.return_url) ?? person.next }, confirmed.backup_codes ?? []);
    },
    refused: (error) => {
      if (endedBy(error, person)) return true;
      if (error.code === "INVALID_CODE") wrong += 1;
      if (wrong >= CLOCK_HINT_AFTER) fill(clockHint, notice("info", text("enroll.clock", { issuer: person.issuer })));
    },
  });
  return form.element;
}

/** @param {string} token @param {string} deviceId @param {string} name */
async function nameDevice(token, deviceId, name) {
  if (!name) return;
  try {
    await changeDevice(token, deviceId, { name });
  } catch {
    // The device works all the same, and the account page can name it; the backup codes must be shown now.
  }
}

/** @param {Person} person @param {string[]} backupCodes */
function finish(person, backupCodes) {
  const goOn = () => leaveTo(person.next);
  if (backupCodes.length > 0) return showBackupCodes(backupCodes, { account: person.account, done: goOn });
  showMessage(text("enroll.done"), text("enroll.done-lead", { issuer: person.issuer }), button(text("continue"), goOn, "primary"));
}

/**
 * Shows the step that a refusal leads to, if it ends this attempt.
 * @param {unknown} thrown
 * @param {Person | null} person null while it is not yet known
 */
function endedBy(thrown, person) {
  const error = asSidekeyError(thrown);
  const told = error.members["return_url"];
  const back = person?.returnAddress ?? webAddress(typeof told === "string" ? told : null);
  switch (error.code) {
    case "SETUP_EXPIRED":
    case "DEVICE_NOT_FOUND":
      showMessage(text("enroll.expired"), text("error.SETUP_EXPIRED"), button(text("enroll.new-key"), begin, "primary"));
      return true;
    case "SESSION_ALREADY_VERIFIED":
      if (isSignedIn()) showMessage(text("enroll.already"), text("enroll.already-lead"), linkButton(text("to-account"), pageAddress("account"), "primary"));
      else showMessage(text("enroll.already"), text("enroll.already-lead-out"), wayBack(back));
      return true;
    case "SESSION_EXPIRED":
    case "SESSION_NOT_FOUND":
    case "MAX_ATTEMPTS_EXCEEDED":
    case "AUTH_REQUIRED":
    case "2FA_REQUIRED":
    case "FORBIDDEN":
      // The token of an enrolment is refused as soon as its session is over.
      showFailure(text("challenge.ended"), sessionId && error.code === "AUTH_REQUIRED" ? new SidekeyError("SESSION_EXPIRED") : error, wayBack(back));
      return true;
    default:
      return false;
  }
}
