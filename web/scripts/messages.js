// @ts-check
/**
 * Every sentence that the scripts show, in one table. A value is a sentence, or an object with a sentence for each plural
 * category of `Intl.PluralRules`, chosen by `count`. `{name}` stands for a value.
 */

import { issuer, language } from "./place.js";

const english = {
  "continue": "Continue",
  "back": "Go back",
  "cancel": "Cancel",
  "close": "Close",
  "save": "Save",
  "checking": "Checking …",
  "try-again": "Try again",
  "to-account": "Go to your account page",
  "request-id": "Number of this request, if you ask for help: {id}",

  "code.label": "Code from your app",
  "code.hint": "The digits that your app shows, with or without the gap",
  "code.hint-exact": "{digits} digits, new every {period} seconds",
  "code.next-label": "The code that follows",
  "code.next-hint": "Wait until your app shows the next code, then type that one here.",
  "code.empty": "Type the code that your authenticator app shows.",
  "code.next-empty": "Type the next code too, as soon as your app shows it.",
  "backup.label": "Backup code",
  "backup.hint": "16 letters and digits, like ABCD-EFGH-JKMN-PQRS",
  "backup.empty": "Type one of your backup codes.",
  "backup.use": "Use a backup code instead",
  "backup.use-app": "Use your authenticator app instead",
  "wait.label": "You can try again in",
  "wait.over": "You can try again now.",

  "enroll.title": "Connect an authenticator app",
  "enroll.lead": "An authenticator app on your phone makes a new code every {period} seconds. From now on you sign in to {issuer} with your password and such a code.",
  "enroll.lead-more": "Connect one more device to your {issuer} account. The devices that you have keep working.",
  "enroll.account": "Account",
  "enroll.scan": "Scan this picture with the app",
  "enroll.no-app": "No app yet? Any authenticator app does: look for “authenticator” in the app store of your phone.",
  "enroll.qr": "QR code that connects your authenticator app. If you cannot scan it, use the key on this page instead.",
  "enroll.key": "Or type this key into the app",
  "enroll.key-kind": "Time based, {digits} digits",
  "enroll.copy-key": "Copy key",
  "enroll.key-copied": "The key has been copied.",
  "enroll.open": "Open in an authenticator app",
  "enroll.open-here": "Is the app on this device?",
  "enroll.open-touch": "Connect the app on this device",
  "enroll.other-device": "Is the app on another device? Scan this picture",
  "enroll.type": "Type the code it shows",
  "enroll.name": "Name of this device",
  "enroll.optional": "optional",
  "enroll.name-hint": "Helps you to tell your devices apart, for example “Work phone”",
  "enroll.confirm": "Connect",
  "enroll.clock": "Still not right? Codes depend on the time. Set the clock of your phone to automatic, wait for a new code and type that one. If the app lists several entries for {issuer}, the newest is the right one.",
  "enroll.done": "Your device is connected",
  "enroll.done-lead": "From now on, codes of this device are accepted when you sign in to {issuer}.",
  "enroll.already": "This is already done",
  "enroll.already-lead": "Your authenticator app has been connected. If you did not keep your backup codes, make new ones on your account page.",
  "enroll.already-lead-out": "An authenticator app has been connected with this link. Sign in to {issuer} to go on; if you did not keep your backup codes, make new ones on your account page.",
  "enroll.expired": "This QR code has expired",
  "enroll.new-key": "Show a new QR code",
  "enroll.no-session": "Sign in first",
  "enroll.no-session-lead": "Here you connect an authenticator app to your {issuer} account. Go to {issuer} and sign in: you are led here from there.",

  "codes.title": "Keep your backup codes",
  "codes.lead": "If you ever lose your phone, one of these codes lets you in. Each works once. They are shown only now.",
  "codes.replaced": "These codes replace all earlier ones, which no longer work.",
  "codes.list": "Your backup codes",
  "codes.copy": "Copy",
  "codes.copied": "The backup codes have been copied.",
  "codes.download": "Download",
  "codes.downloaded": "The backup codes are being saved as a file.",
  "codes.print": "Print",
  "codes.saved": "I have saved these codes in a safe place",
  "codes.not-saved": "Save the codes first (copy, download or print them), then tick this box.",
  "codes.file-title": "Backup codes for {issuer}",
  "codes.file-account": "Account: {account}",
  "codes.file-date": "Made on {date}",
  "codes.file-advice": "Each code works once, instead of a code from your authenticator app. Keep them where only you can reach them.",

  "copy.select": "Copying is not possible here. The text is selected: copy it with your keyboard or menu.",

  "challenge.title": "Type your code",
  "challenge.lead": "Open your authenticator app and type the code that it shows for {issuer}.",
  "challenge.step-up": "Confirm that it is you",
  "challenge.step-up-lead": "Before you change how you sign in, type a code from your authenticator app.",
  "challenge.backup": "Use a backup code",
  "challenge.backup-lead": "Type one of the backup codes that you kept when you connected your authenticator app. It works once.",
  "challenge.submit": "Sign in",
  "challenge.submit-step-up": "Confirm",
  "challenge.ended": "Sign in again",
  "challenge.step-up-ended": "Start again",
  "challenge.step-up-ended-lead": "This confirmation took too long, or too many codes were wrong. Go back to your account page and try again.",
  "challenge.verified": "You have already signed in",
  "challenge.no-session": "Sign in first",
  "challenge.no-session-lead": "This page asks for a code while you sign in to {issuer}. Go to {issuer} and sign in: you are led here from there.",
  "challenge.few-codes": "You are in",
  "challenge.codes-left": {
    zero: "That was your last backup code. Make new ones now, so that you can still get in if you lose your phone.",
    one: "You have {count} backup code left. Make new ones soon, so that you can still get in if you lose your phone.",
    other: "You have {count} backup codes left. Make new ones soon, so that you can still get in if you lose your phone.",
  },
  "challenge.renew": "Make new backup codes",

  "account.title": "Two-factor authentication",
  "account.on": "On",
  "account.off": "Off",
  "account.signed-in": "Signed in as {account}",
  "account.sign-out": "Sign out",
  "account.off-lead": "Your account is protected by your password alone. Connect an authenticator app, and nobody gets in with the password only.",
  "account.set-up": "Connect an authenticator app",
  "account.signed-out": "You are signed out",
  "account.signed-out-lead": "On this page you manage your devices and backup codes for {issuer}. Go to {issuer} and sign in to open it.",
  "devices.title": "Devices",
  "devices.add": "Add a device",
  "devices.primary": "Primary",
  "devices.pending": "Not finished",
  "devices.finish": "Finish connecting",
  "devices.finish-label": "Finish connecting {name}",
  "devices.unnamed": "Authenticator app",
  "devices.added": "Added {date}",
  "devices.used": "last used {ago}",
  "devices.never-used": "not used yet",
  "devices.rename": "Rename",
  "devices.rename-label": "Rename {name}",
  "devices.name": "New name",
  "devices.renamed": "The device is now called {name}.",
  "devices.name-empty": "Type a name of at most 100 characters.",
  "devices.make-primary": "Make primary",
  "devices.make-primary-label": "Make primary: {name}",
  "devices.made-primary": "{name} is now your primary device.",
  "devices.remove": "Remove",
  "devices.remove-label": "Remove {name}",
  "devices.remove-title": "Remove {name}?",
  "devices.remove-lead": "Its codes will no longer be accepted. Delete the entry in the app as well.",
  "devices.remove-last-lead": "This is your only device. Without it, two-factor authentication is off and your password alone lets people in.",
  "devices.remove-pending-lead": "Connecting it was never finished, so nothing else changes.",
  "devices.removed": "{name} has been removed.",
  "backup-codes.title": "Backup codes",
  "backup-codes.left": { one: "{count} of {total} left", other: "{count} of {total} left" },
  "backup-codes.lead": "One of them lets you in when your phone is not at hand. Each works once.",
  "backup-codes.few": "Only a few are left. Make new ones before you run out.",
  "backup-codes.none": "None are left. Make new ones, so that you can still get in if you lose your phone.",
  "backup-codes.renew": "Make new codes",
  "backup-codes.renew-title": "Make new backup codes?",
  "backup-codes.renew-lead": "Your earlier backup codes stop working at once.",
  "backup-codes.renewed": "Your new backup codes are in force.",
  "disable.title": "Turn off two-factor authentication",
  "disable.lead": "Removes every device and backup code. Your password alone then lets people in.",
  "disable.open": "Turn off …",
  "disable.ask-title": "Turn off two-factor authentication?",
  "disable.submit": "Turn off",
  "disable.done": "Two-factor authentication is off.",
  "failed.title": "This did not work",

  "demo.title": "Sign in",
  "demo.lead": "This page plays your application: it checks the password itself, then hands over to Sidekey for the second factor.",
  "demo.user": "User name",
  "demo.password": "Password",
  "demo.password-hint": "Any password is accepted: this is a demonstration.",
  "demo.submit": "Sign in",
  "demo.user-empty": "Type a user name, for example “ann@example.com”.",
  "demo.in": "Signed in as {account}",
  "demo.in-lead": "The application now holds an access token that Sidekey has signed. This is what it says:",
  "demo.claims": "Claims of the access token",
  "demo.claim": "Claim",
  "demo.value": "Value",
  "demo.meaning": "Meaning",
  "demo.account": "Devices and backup codes",
  "demo.copy": "Copy access token",
  "demo.copied": "The access token has been copied.",
  "demo.token": "Access token",
  "demo.signed-out": "You are signed out.",
  "claim.iss": "who issued it",
  "claim.sub": "the user, as the application names them",
  "claim.aud": "the application it is for",
  "claim.iat": "issued at",
  "claim.exp": "valid until",
  "claim.jti": "number of this token",
  "claim.sid": "the sign-in that it belongs to",
  "claim.auth_time": "time of the last second factor",
  "claim.amr": "how the user proved who they are",
  "claim.acr": "strength of the sign-in",

  "error.VALIDATION_ERROR": "Something that was typed does not have the right form. Check it and try again.",
  "error.VALIDATION_ERROR.totp": "That is not a whole code. Type all the digits that your app shows, and nothing else.",
  "error.VALIDATION_ERROR.backup": "That is not a whole backup code. It has 16 letters and digits, like ABCD-EFGH-JKMN-PQRS.",
  "error.INVALID_CODE": "That code is wrong or was used before. Wait for the next code in your app and type that one.",
  "error.INVALID_CODE.backup": "That backup code is wrong or used before. Check it, or try another one from your list.",
  "error.attempts": {
    one: "You have {count} attempt left.",
    other: "You have {count} attempts left.",
  },
  "error.SESSION_EXPIRED": "It took too long, so this sign-in has ended for your safety. Go back to {issuer} and sign in again.",
  "error.CODE_REQUIRED": "This needs a code from your authenticator app. Type the code that it shows now.",
  "error.NEXT_CODE_REQUIRED": "There were many wrong codes for your account. Please type two codes in a row: the one that your app shows now, and the one that follows.",
  "error.2FA_NOT_ENABLED": "Two-factor authentication is already off for your account. Reload this page to see how things stand.",
  "error.SETUP_EXPIRED": "A QR code is good for ten minutes. Delete the entry that it made in your app, then start again with a new one.",
  "error.ACCOUNT_LOCKED": "After very many wrong codes, codes from the app are no longer accepted for your account. Use a backup code, or ask the support of {issuer} to unlock it.",
  "error.INTERNAL": "Something went wrong at our end. Try again; if it keeps failing, tell the support of {issuer}.",
  "error.UNAVAILABLE": "The service cannot answer at the moment. Try again in a little while.",
  "error.AUTH_REQUIRED": "You are no longer signed in. Go to {issuer} and sign in again.",
  "error.2FA_REQUIRED": "This needs a fresh proof that it is you. Confirm with a code from your authenticator app.",
  "error.FORBIDDEN": "Your sign-in does not allow this. Sign in again with the account that you want to change.",
  "error.MAX_ATTEMPTS_EXCEEDED": "Too many codes were wrong, so this sign-in has ended. Go back to {issuer} and sign in again. If your codes keep failing, set the clock of your phone to automatic.",
  "error.SESSION_ALREADY_VERIFIED": "This sign-in was completed before and cannot be used again. Go on where you left off, or sign in to {issuer} again.",
  "error.SESSION_NOT_FOUND": "This link does not belong to a sign-in that is under way. Go back to {issuer} and sign in again.",
  "error.DEVICE_NOT_FOUND": "That device is no longer there. Reload this page to see how things stand.",
  "error.NOT_FOUND": "What this page asked for does not exist on the server. Reload the page and try again.",
  "error.METHOD_NOT_ALLOWED": "This page and the server do not fit together. Reload the page and try again.",
  "error.PAYLOAD_TOO_LARGE": "That is more text than can be accepted. Shorten it and try again.",
  "error.UNSUPPORTED_MEDIA_TYPE": "This page and the server do not fit together. Reload the page and try again.",
  "error.ACCOUNT_THROTTLED": "There were several wrong codes for this account, so the next one has to wait {wait}.",
  "error.ACCOUNT_THROTTLED.backup": "There were several wrong backup codes for this account, so the next one has to wait {wait}.",
  "error.RATE_LIMITED": "There are too many requests from your network. Wait {wait} and try again.",
  "error.NETWORK": "The server could not be reached. Check your connection and try again.",
};

/** @typedef {keyof typeof english} MessageKey */
/** @typedef {Record<string, string | number>} Values */

const plurals = new Intl.PluralRules(language);

/**
 * @param {MessageKey} key
 * @param {Values} [values] `issuer` is always there
 */
export function text(key, values = {}) {
  const entry = english[key];
  return fillIn(typeof entry === "string" ? entry : pluralOf(entry, Number(values["count"])), values);
}

/** @param {{ zero?: string, one: string, other: string }} entry @param {number} count */
function pluralOf(entry, count) {
  if (count === 0 && entry.zero) return entry.zero;
  return plurals.select(count) === "one" ? entry.one : entry.other;
}

/** @param {string} sentence @param {Values} values */
function fillIn(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? (name === "issuer" ? issuer : whole)));
}

/** @param {string} key @returns {key is MessageKey} */
export const isMessage = (key) => Object.hasOwn(english, key);

/**
 * What happened and what to do.
 * @param {import("./api.js").SidekeyError} error
 * @param {"totp" | "backup"} [kind] of the code that was being judged
 */
export function sentence(error, kind) {
  const special = `error.${error.code}.${kind}`;
  const general = `error.${error.code}`;
  const key = isMessage(special) ? special : isMessage(general) ? general : "error.INTERNAL";
  const said = text(key, { wait: duration(error.retryAfter ?? 30) });
  const left = error.attemptsRemaining;
  return left === null ? said : `${said} ${text("error.attempts", { count: left })}`;
}

/** In words: "45 seconds", "2 minutes". @param {number} seconds */
export function duration(seconds) {
  const [value, unit] = seconds < 120 ? [seconds, "second"] : seconds < 7200 ? [Math.ceil(seconds / 60), "minute"] : [Math.ceil(seconds / 3600), "hour"];
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long" }).format(value);
}
