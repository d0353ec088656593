// @ts-check
/** Account page: devices, backup codes, turning two-factor authentication off, signing out. */

import { backupCodeStatus, disable, listDevices, renewBackupCodes } from "./api.js";
import { showBackupCodes } from "./backup-codes.js";
import { codeForm } from "./code-form.js";
import { deviceSection } from "./devices.js";
import { openDialog } from "./dialog.js";
import { fill, h } from "./dom.js";
import { text } from "./messages.js";
import { pageAddress } from "./place.js";
import { accountName, isSignedIn, signOut, withSecondFactor } from "./session.js";
import { announce, asSidekeyError, button, linkButton, notice, show, showFailure, showMessage } from "./view.js";
import { loadCore } from "./wasm.js";

loadCore();
load();

/**
 * Reads everything anew and shows it.
 * @param {string} [done] what has just been achieved
 */
async function load(done) {
  if (!isSignedIn()) return showSignedOut();
  try {
    const { devices, has_2fa_enabled: enabled } = await act(listDevices);
    const codes = enabled ? await act(backupCodeStatus) : null;
    showAccount(devices, codes, done);
  } catch (error) {
    if (!isOver(error)) showFailure(text("failed.title"), error, button(text("try-again"), () => load(done), "primary"), signOutButton());
  }
}

/** @template T @param {(token: string) => Promise<T>} call */
function act(call) {
  return withSecondFactor(call, "account");
}

/** Shows the way to sign in where the sign-in has ended. @param {unknown} error */
function isOver(error) {
  if (asSidekeyError(error).code !== "AUTH_REQUIRED") return false;
  showSignedOut();
  return true;
}

function showSignedOut() {
  showMessage(text("account.signed-out"), text("account.signed-out-lead"));
}

/**
 * @param {import("./api.js").Device[]} devices
 * @param {import("./api.js").BackupCodeStatus | null} codes null while two-factor authentication is off
 * @param {string} [done]
 */
function showAccount(devices, codes, done) {
  const shown = devices.filter((device) => device.status !== "disabled");
  show(
    text("account.title"),
    [
      whoIsSignedIn(),
      done && notice("success", done),
      codes
        ? deviceSection(shown, { act, changed: load, isOver })
        : h("section", { class: "card" }, h("p", { class: "lead" }, text("account.off-lead")), linkButton(text("account.set-up"), pageAddress("enroll"), "primary")),
      codes && backupCodeSection(codes),
      codes && disableSection(),
    ],
    { beside: h("span", { class: `chip ${codes ? "on" : "off"}` }, text(codes ? "account.on" : "account.off")) },
  );
  if (done) announce(done);
}

function whoIsSignedIn() {
  const account = accountName();
  return h("div", { class: "who" }, account && h("p", {}, h("bdi", {}, text("account.signed-in", { account }))), signOutButton());
}

function signOutButton() {
  return button(
    text("account.sign-out"),
    async () => {
      await signOut();
      showSignedOut();
    },
    "quiet",
  );
}

/** @param {import("./api.js").BackupCodeStatus} codes */
function backupCodeSection({ remaining_count: count, total_generated: total, warning }) {
  const few = warning !== null;
  return h(
    "section",
    { class: "card", "aria-labelledby": "backup-codes" },
    h("div", { class: "section-head" }, h("h2", { id: "backup-codes" }, text("backup-codes.title")), h("p", { class: few ? "count few" : "count" }, text("backup-codes.left", { count, total }))),
    h("div", { class: "pips", "aria-hidden": "true" }, ...Array.from({ length: total }, (_, index) => h("span", { class: index < count ? "pip" : "pip used" }))),
    few ? notice("warning", text(count === 0 ? "backup-codes.none" : "backup-codes.few")) : h("p", { class: "hint" }, text("backup-codes.lead")),
    h("div", { class: "actions" }, button(text("backup-codes.renew"), askToRenew)),
  );
}

function askToRenew() {
  openDialog(text("backup-codes.renew-title"), text("backup-codes.renew-lead"), (close) => [
    codeForm({
      kind: "totp",
      submit: text("backup-codes.renew"),
      answer: async (answer) => {
        const renewed = await act((token) => renewBackupCodes(token, answer));
        close();
        showBackupCodes(renewed.backup_codes, { account: accountName(), replaced: true, done: () => load(text("backup-codes.renewed")) });
      },
      refused: closingWhenOver(close),
      actions: [button(text("cancel"), close)],
    }).element,
  ]);
}

function disableSection() {
  return h(
    "section",
    { class: "card", "aria-labelledby": "disable" },
    h("h2", { id: "disable" }, text("disable.title")),
    h("p", { class: "hint" }, text("disable.lead")),
    h("div", { class: "actions" }, button(text("disable.open"), askToDisable, "danger-outline")),
  );
}

function askToDisable() {
  openDialog(text("disable.ask-title"), text("disable.lead"), (close) => {
    const stage = h("div", { class: "stage" });
    /** @param {"totp" | "backup"} kind */
    const form = (kind) =>
      codeForm({
        kind,
        submit: text("disable.submit"),
        look: "danger",
        answer: async (answer) => {
          await act((token) => disable(token, kind === "totp" ? answer : { backup_code: answer.code }));
          close();
          load(text("disable.done"));
        },
        refused: closingWhenOver(close),
        actions: [button(text("cancel"), close)],
      });
    const forms = { totp: form("totp"), backup: form("backup") };
    /** @param {"totp" | "backup"} kind */
    const use = (kind) => {
      const other = kind === "totp" ? "backup" : "totp";
      fill(stage, forms[kind].element, button(text(kind === "totp" ? "backup.use" : "backup.use-app"), () => use(other), "quiet"));
      forms[kind].input.focus();
    };
    use("totp");
    return [stage];
  });
}

/** @param {() => void} close @returns {(error: import("./api.js").SidekeyError) => boolean} */
function closingWhenOver(close) {
  return (error) => {
    const over = isOver(error);
    if (over) close();
    return over;
  };
}
