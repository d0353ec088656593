// @ts-check
/**
 * Every sentence that the elements show. A value is a sentence, or one for each plural category of `Intl.PluralRules`,
 * chosen by `count`. `{name}` stands for a value.
 */

/** @typedef {import("./index.d.ts").Message} Message */
/** @typedef {Record<string, string | number>} Values */

/** @satisfies {import("./index.d.ts").Messages} */
const sentences = {
  "qr.label": "QR code that connects your authenticator app. If you cannot scan it, use the key on this page instead.",

  "code.label": "Code from your app",
  "code.hint": "{digits} digits, new every {period} seconds",
  "code.next-label": "The code that follows",
  "code.next-hint": "Wait until your app shows the next code, then type that one here.",
  "code.empty": "Type the code that your authenticator app shows.",
  "code.next-empty": "Type the next code too, as soon as your app shows it.",
  "code.clock": "Still not right? Codes depend on the time. Set the clock of your phone to automatic, wait for a new code and type that one.",
  "code.checking": "Checking …",
  "backup.label": "Backup code",
  "backup.hint": "16 letters and digits, like ABCD-EFGH-JKMN-PQRS",
  "backup.empty": "Type one of your backup codes.",
  "wait.label": "You can try again in {time}",
  "wait.over": "You can try again now.",

  "copy.select": "Copying is not possible here. The text is selected: copy it with your keyboard or menu.",

  "enroll.loading": "Loading …",
  "enroll.title": "Connect an authenticator app",
  "enroll.lead": "An authenticator app on your phone makes a new code every {period} seconds. From now on you sign in with your password and such a code.",
  "enroll.scan": "Scan this picture with the app",
  "enroll.no-app": "No app yet? Any authenticator app does: look for “authenticator” in the app store of your phone.",
  "enroll.key": "Or type this key into the app",
  "enroll.key-kind": "Time based, {digits} digits",
  "enroll.copy-key": "Copy key",
  "enroll.key-copied": "The key has been copied.",
  "enroll.open-touch": "Connect the app on this device",
  "enroll.open": "Open in an authenticator app",
  "enroll.open-apple": "Open in Apple Passwords",
  "enroll.other-device": "Is the app on another device? Scan this picture",
  "enroll.type": "Type the code it shows",
  "enroll.confirm": "Connect",
  "enroll.failed": "This did not work",
  "enroll.again": "Try again",
  "enroll.expired": "This QR code has expired",
  "enroll.new-key": "Show a new QR code",
  "enroll.done": "Your device is connected",
  "enroll.done-lead": "From now on, codes of this device are accepted when you sign in.",

  "preflight.label": "Check of this page",
  "preflight.qr": "The QR code was read back and holds this key.",
  "preflight.qr-differs": "The QR code on this page does not hold the key that it should. Do not scan it: reload the page, and if this stays, tell whoever runs this site.",
  "preflight.clock": "Clock of this device",
  "preflight.clock-right": "In step with the server.",
  "preflight.clock-ahead": "The clock of this device is {time} ahead. If your authenticator app is on this device, set the clock to automatic first: its codes would be wrong.",
  "preflight.clock-behind": "The clock of this device is {time} behind. If your authenticator app is on this device, set the clock to automatic first: its codes would be wrong.",

  "codes.title": "Keep your backup codes",
  "codes.lead": "If you ever lose your phone, one of these codes lets you in. Each works once. They are shown only now.",
  "codes.list": "Your backup codes",
  "codes.copy": "Copy",
  "codes.copied": "The backup codes have been copied.",
  "codes.download": "Download",
  "codes.downloaded": "The backup codes are being saved as a file.",
  "codes.print": "Print",
  "codes.saved": "I have saved these codes in a safe place",
  "codes.not-saved": "Save the codes first (copy, download or print them), then tick this box.",
  "codes.continue": "Continue",
  "codes.file-title": "Backup codes for {issuer}",
  "codes.file-account": "Account: {account}",
  "codes.file-date": "Made on {date}",
  "codes.file-advice": "Each code works once, instead of a code from your authenticator app. Keep them where only you can reach them.",

  "error.VALIDATION_ERROR": "That is not a whole code. Type all the digits that your app shows, and nothing else.",
  "error.INVALID_CODE": "That code is wrong or was used before. Wait for the next code in your app and type that one.",
  "error.attempts": { one: "You have {count} attempt left.", other: "You have {count} attempts left." },
  "error.NEXT_CODE_REQUIRED": "There were many wrong codes for your account. Please type two codes in a row: the one that your app shows now, and the one that follows.",
  "error.CODE_REQUIRED": "This needs a code from your authenticator app. Type the code that it shows now.",
  "error.SETUP_EXPIRED": "A QR code is good for ten minutes. Delete the entry that it made in your app, then start again with a new one.",
  "error.DEVICE_NOT_FOUND": "A QR code is good for ten minutes. Delete the entry that it made in your app, then start again with a new one.",
  "error.SESSION_EXPIRED": "It took too long, so this sign-in has ended for your safety. Sign in again.",
  "error.SESSION_NOT_FOUND": "This sign-in is not under way any more. Sign in again.",
  "error.SESSION_ALREADY_VERIFIED": "This sign-in was completed before and cannot be used again. Sign in again.",
  "error.MAX_ATTEMPTS_EXCEEDED": "Too many codes were wrong, so this sign-in has ended. Sign in again. If your codes keep failing, set the clock of your phone to automatic.",
  "error.ACCOUNT_THROTTLED": "There were several wrong codes for this account, so the next one has to wait {time}.",
  "error.RATE_LIMITED": "There are too many requests from your network. Wait {time} and try again.",
  "error.ACCOUNT_LOCKED": "After very many wrong codes, codes from the app are no longer accepted for your account. Use a backup code, or ask for help.",
  "error.AUTH_REQUIRED": "You are no longer signed in. Sign in again.",
  "error.2FA_REQUIRED": "This needs a fresh proof that it is you. Confirm with a code from your authenticator app.",
  "error.FORBIDDEN": "Your sign-in does not allow this. Sign in again with the account that you want to change.",
  "error.UNAVAILABLE": "The service cannot answer at the moment. Try again in a little while.",
  "error.NETWORK": "The server could not be reached. Check your connection and try again.",
  "error.INTERNAL": "Something went wrong at our end. Try again; if it keeps failing, ask for help.",
};

/** @type {Record<string, Message>} */
export const english = sentences;

/**
 * @param {Message} message
 * @param {Values} values
 * @param {string} language
 */
export function fillIn(message, values, language) {
  const sentence = typeof message === "string" ? message : pluralOf(message, Number(values["count"]), language);
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** @param {Exclude<Message, string>} message @param {number} count @param {string} language */
function pluralOf(message, count, language) {
  return message[new Intl.PluralRules(language).select(count)] ?? message.other;
}

/** In words: "45 seconds", "2 minutes". @param {number} seconds @param {string} language */
export function duration(seconds, language) {
  const [value, unit] = seconds < 120 ? [Math.ceil(seconds), "second"] : seconds < 7200 ? [Math.ceil(seconds / 60), "minute"] : [Math.ceil(seconds / 3600), "hour"];
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long" }).format(value);
}

/**
 * What happened and what to do.
 * @param {import("./element.js").SidekeyElement} element
 * @param {import("../client/error.js").SidekeyError} error
 */
export function sentenceOf(element, error) {
  const key = `error.${error.code}`;
  const known = Object.hasOwn(english, key) || element.messages?.[key] !== undefined;
  const said = element.text(known ? key : "error.INTERNAL", { time: duration(error.retryAfter ?? 30, element.language) });
  const count = error.attemptsRemaining;
  return count === null ? said : `${said} ${element.text("error.attempts", { count })}`;
}
