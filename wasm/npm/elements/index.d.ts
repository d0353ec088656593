import type { Confirmed, SidekeyClient, SidekeyError, TokenSource } from "../client/index.js";

/** A sentence with `{names}` of values in it, or one for each plural category of `Intl.PluralRules`, chosen by `count`. */
export type Message = string | ({ other: string } & Partial<Record<Intl.LDMLPluralRule, string>>);

/** Texts by their names, see `messages`; those that are missing are English. */
export type Messages = Readonly<Record<string, Message>>;

/** The English texts, and with them all names. */
export const messages: Messages;

/** Registers `<sidekey-qr>`, `<sidekey-code-input>` and `<sidekey-enroll>`; a second time and on a server it does nothing. */
export function define(): void;

/** A clock, such as that of a client. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
}

/** `<sidekey-qr uri label>`: draws the QR code of `uri`, or frames the `<svg>` or `<img>` that stands inside it. */
export class SidekeyQr extends HTMLElement {
  /** The text of the QR code. */
  uri: string;
  /** Accessible name; default: that of the picture inside, else the message `qr.label`. */
  label: string;
  messages: Messages | null;
  /** Reads back what is on the screen; `unknown` for a picture that is no SVG of Sidekey's. */
  check(): "same" | "differs" | "unknown";
}

/**
 * `<sidekey-code-input label hint name kind digits period countdown failures wait next disabled required server-time>`: one
 * field for a code. It uses the `<input>` that stands inside it, or makes one.
 */
export class SidekeyCodeInput extends HTMLElement {
  /** The code made ready to send: ASCII digits without blanks and hyphens. */
  value: string;
  /** The second code, empty unless it is asked for. */
  readonly nextValue: string;
  readonly kind: "totp" | "backup";
  readonly input: HTMLInputElement | null;
  /** Whether it waits after too many wrong codes. */
  readonly waiting: boolean;
  /** Whose time the ring shows. */
  clock: Clock;
  messages: Messages | null;
  /** Whether there is something to send; if not, says so. */
  checkFilled(): boolean;
  /** Shows a sentence, or an error of the API in words, and focuses the field. */
  fail(problem: string | SidekeyError | unknown): void;
  /** Takes the error away. */
  clear(): void;
  /** Holds the form back while it counts down. */
  hold(seconds: number): void;
}

export type EnrollStep = "loading" | "setup" | "codes" | "done" | "failed";

/** What was found before anybody scans. */
export interface Preflight {
  /** `differs`: the picture or the shown key is not that of the URI. */
  qr: "same" | "differs" | "unknown";
  /** How far this device's clock is ahead of the server's; null where that is not known. */
  clockOffsetMs: number | null;
  /** Whether that is too much for codes to be right. */
  clockOff: boolean;
}

/**
 * `<sidekey-enroll base-url issuer account device-name domain server-time>`: with `token` or `client` set, the whole
 * enrolment; around a server's form, what a script can add to it.
 */
export class SidekeyEnroll extends HTMLElement {
  /** Access or enrolment token. Setting it begins. */
  token: TokenSource | null;
  /** Instead of `token` and `base-url`. Setting it begins. */
  client: SidekeyClient | null;
  messages: Messages | null;
  readonly step: EnrollStep | null;
  /** Begins again; `restart` makes a new key. */
  start(options?: { restart?: boolean }): Promise<void>;
}

/** The events by name; all bubble, out of shadow trees too. */
export interface SidekeyEventMap {
  "sidekey-input": CustomEvent<{ value: string }>;
  /** As many digits as the code has were typed or pasted. */
  "sidekey-complete": CustomEvent<{ value: string }>;
  "sidekey-wait-over": CustomEvent<undefined>;
  "sidekey-step": CustomEvent<{ step: EnrollStep; title: string }>;
  "sidekey-preflight": CustomEvent<Preflight>;
  /** The device is active; the detail holds the tokens. The backup codes are still to be kept. */
  "sidekey-enrolled": CustomEvent<Confirmed>;
  /** The person has kept the backup codes. */
  "sidekey-done": CustomEvent<Confirmed>;
  /** `preventDefault()` keeps the element from telling it. */
  "sidekey-error": CustomEvent<{ error: SidekeyError | Error }>;
}

declare global {
  interface HTMLElementTagNameMap {
    "sidekey-qr": SidekeyQr;
    "sidekey-code-input": SidekeyCodeInput;
    "sidekey-enroll": SidekeyEnroll;
  }
  interface HTMLElementEventMap extends SidekeyEventMap {}
}
