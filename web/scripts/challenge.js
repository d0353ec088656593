// @ts-check
/** Challenge page: a code of the app or a backup code, for the one session that the link names. */

import { verifyBackupCode, verifyCode } from "./api.js";
import { codeForm } from "./code-form.js";
import { h } from "./dom.js";
import { text } from "./messages.js";
import { followNewLinks, pageAddress, sessionOfLink, webAddress } from "./place.js";
import { goOn, isSignedIn, keepTokens, stepUpOf } from "./session.js";
import { button, linkButton, show, showFailure, showMessage, wayBack } from "./view.js";
import { loadCore } from "./wasm.js";

const sessionId = sessionOfLink();
const isStepUp = stepUpOf(sessionId) !== null;
const submit = text(isStepUp ? "challenge.submit-step-up" : "challenge.submit");

const app = codeForm({
  kind: "totp",
  submit,
  answer: async (answer) => succeed(await verifyCode(sessionId, answer)),
  refused: endedBy,
});

const backup = codeForm({
  kind: "backup",
  submit,
  answer: async ({ code }) => succeed(await verifyBackupCode(sessionId, code)),
  refused: endedBy,
});

followNewLinks();
loadCore();
if (sessionId) askForCode(app.input);
else showMessage(text("challenge.no-session"), text("challenge.no-session-lead"));

/** Both forms live on while the other is shown: a wait goes on, and what was typed stays. @param {HTMLElement} [focus] */
function askForCode(focus) {
  const title = text(isStepUp ? "challenge.step-up" : "challenge.title");
  const lead = text(isStepUp ? "challenge.step-up-lead" : "challenge.lead");
  showForm(title, lead, app, button(text("backup.use"), askForBackupCode, "quiet"), focus);
}

function askForBackupCode() {
  const other = button(text("backup.use-app"), () => askForCode(), "quiet");
  showForm(text("challenge.backup"), text("challenge.backup-lead"), backup, other);
}

/**
 * @param {string} title
 * @param {string} lead
 * @param {import("./code-form.js").CodeForm} form
 * @param {HTMLElement} other
 * @param {HTMLElement} [focus]
 */
function showForm(title, lead, form, other, focus) {
  const content = [h("p", { class: "lead" }, lead), h("div", { class: "card" }, form.element), h("div", { class: "others" }, other, isStepUp && cancel())];
  show(title, content, focus ? { focus } : {});
}

function cancel() {
  return linkButton(text("cancel"), pageAddress("account"), "quiet");
}

/** @param {import("./api.js").Verified} verified */
function succeed(verified) {
  keepTokens(verified, verified.user.account_name ?? verified.user.id);
  const proceed = () => goOn(sessionId, webAddress(verified.return_url));
  if (!verified.warning) return proceed();
  showMessage(
    text("challenge.few-codes"),
    text("challenge.codes-left", { count: verified.remaining_backup_codes ?? 0 }),
    button(text("continue"), proceed, "primary"),
    linkButton(text("challenge.renew"), pageAddress("account")),
  );
}

/** Shows the last step if the refusal ends the session. @param {import("./api.js").SidekeyError} error */
function endedBy(error) {
  const told = error.members["return_url"];
  const back = isStepUp ? pageAddress("account") : webAddress(typeof told === "string" ? told : null);
  switch (error.code) {
    case "SESSION_ALREADY_VERIFIED":
      showFailure(
        text("challenge.verified"),
        error,
        isSignedIn() ? button(text("continue"), () => goOn(sessionId, back), "primary") : wayBack(back),
      );
      return true;
    case "SESSION_EXPIRED":
    case "SESSION_NOT_FOUND":
    case "MAX_ATTEMPTS_EXCEEDED":
    case "AUTH_REQUIRED":
    case "FORBIDDEN":
      if (isStepUp) showMessage(text("challenge.step-up-ended"), text("challenge.step-up-ended-lead"), wayBack(back));
      else showFailure(text("challenge.ended"), error, wayBack(back));
      return true;
    default:
      return false;
  }
}
