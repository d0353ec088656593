/** The hash function of the codes. Many apps honour `SHA1` only: see {@link compat}. */
export type Algorithm = "SHA1" | "SHA256" | "SHA512";
/** How many digits a code has. */
export type Digits = 6 | 7 | 8;

/** A one-time password (RFC 6238). What is left out has the value that every authenticator knows. */
export interface TotpConfig {
  /** Base32 in any spelling, or the bytes: 16 to 128 of them. */
  secret: string | Uint8Array;
  /** Who issues the secret, as the app shows it: at most 100 bytes in UTF-8, no colon. An empty one is as good as none. */
  issuer?: string;
  /** Whose secret it is; a key URI needs it. At most 255 bytes in UTF-8. */
  account?: string;
  /** `SHA1` where it is left out. */
  algorithm?: Algorithm;
  /** 6 where it is left out. */
  digits?: Digits;
  /** 15 to 120 seconds; 30 where it is left out. */
  period?: number;
}

/** What a key URI says: everything, and the secret in base32. No issuer is an empty one. */
export type ParsedTotpConfig = Required<TotpConfig> & { secret: string };

/** A code and when it is valid. Times are milliseconds since 1970. */
export interface Preview {
  code: string;
  /** The code in two groups: `123 456`. */
  display: string;
  /** The time step of RFC 6238. */
  counter: number;
  validFrom: number;
  /** The first moment at which the next code is valid. */
  validUntil: number;
  /** Until then, at least 1. */
  remainingMs: number;
  /** In seconds. */
  period: number;
}

/** One thing that some authenticator apps do otherwise than the key URI says. */
export interface CompatWarning {
  /** What programs branch on; names stay, new ones may come. */
  readonly code:
    | "ALGORITHM_IGNORED"
    | "ALGORITHM_REJECTED"
    | "DIGITS_IGNORED"
    | "DIGITS_UNUSUAL"
    | "PERIOD_IGNORED"
    | "ISSUER_MISSING"
    | "ISSUER_CHARACTERS"
    | "ISSUER_NO_DOMAIN"
    | "ACCOUNT_COLON"
    | "LABEL_LONG";
  /** The part of the configuration to change. */
  readonly field: Exclude<keyof TotpConfig, "secret">;
  /** The apps that are known for it; none where it is a matter of all. */
  readonly apps: readonly string[];
  /** A sentence for developers. */
  readonly message: string;
}

/** `apple-otpauth` opens Apple's own password manager, which wants a domain as issuer. */
export type Scheme = "otpauth" | "apple-otpauth";

export interface SchemeOptions {
  /** `otpauth` where it is left out. */
  scheme?: Scheme;
}

export interface QrOptions {
  /**
   * How much of the symbol may be unreadable: 7, 15, 25 or 30 %. Where it is left out, 15 % (`M`), or 7 % for a text that is
   * too long for that.
   */
  level?: "L" | "M" | "Q" | "H";
}

export interface QrSvgOptions extends QrOptions {
  /** What assistive technology reads out. */
  title?: string;
}

export interface QrPngOptions extends QrOptions {
  /** The side of a module in pixels, 1 to 32; 8 where it is left out. */
  scale?: number;
}

/** The modules row by row, `size` times `size` of them, 1 for dark; the quiet zone of 4 around them is not included. */
export interface QrMatrix {
  size: number;
  modules: Uint8Array;
}

/** What one QR code of a Google Authenticator export says. */
export interface Migration {
  version: number;
  /** A large export is spread over several QR codes with the same `id`; `index` counts from 0 to `size` - 1. */
  batch: { id: number; index: number; size: number };
  entries: MigrationEntry[];
}

/** An account of an export: taken over, or refused with the reason. Nothing is guessed. */
export type MigrationEntry =
  | { ok: true; config: ParsedTotpConfig }
  | { ok: false; code: OtpErrorCode; message: string; issuer: string; name: string };

export interface WatchOptions {
  /** The server's time now, where the device's clock is not to be trusted. */
  serverNowMs?: number;
  /** Stops watching when it is aborted. */
  signal?: AbortSignal;
}

/** Where the core's bytes come from. */
export type CoreSource = WebAssembly.Module | BufferSource | Response;

/** What went wrong; names stay, new ones may come. */
export type OtpErrorCode =
  | "ACCOUNT_INVALID"
  | "ALGORITHM_UNKNOWN"
  | "DIGITS_OUT_OF_RANGE"
  | "DIGITS_UNKNOWN"
  | "DOM_UNAVAILABLE"
  | "HOTP_UNSUPPORTED"
  | "INVALID_ARGUMENT"
  | "ISSUER_INVALID"
  | "ISSUER_MISMATCH"
  | "MIGRATION_DATA"
  | "MIGRATION_PAYLOAD"
  | "MIGRATION_SCHEME"
  | "MIGRATION_TOO_LONG"
  | "NOT_READY"
  | "PERIOD_OUT_OF_RANGE"
  | "QR_TOO_LONG"
  | "RANDOMNESS_UNAVAILABLE"
  | "SECRET_MISSING"
  | "SECRET_NOT_BASE32"
  | "SECRET_TOO_LONG"
  | "SECRET_TOO_SHORT"
  | "TYPE_UNKNOWN"
  | "URI_DUPLICATE_PARAMETER"
  | "URI_ENCODING"
  | "URI_PARAMETER"
  | "URI_SCHEME"
  | "URI_TOO_LONG"
  | "URI_TYPE"
  | "WASM_BLOCKED_BY_CSP"
  | "WASM_UNAVAILABLE";

/** What every function of this package throws. Neither message nor properties hold any input. */
export class OtpError extends Error {
  constructor(code: OtpErrorCode, message: string, more?: { field?: string; cause?: unknown });
  readonly name: "OtpError";
  readonly code: OtpErrorCode;
  /** The argument or the part of the configuration that is wrong, where it is one. */
  readonly field: string | undefined;
}

/** A fresh secret in base32, of 20 bytes where nothing else is asked for. */
export function generateSecret(bytes?: 16 | 20 | 32 | 64): string;
/** A secret in groups of four, as people read and type it. */
export function formatSecret(secret: string | Uint8Array): string;
/** A typed or pasted code made ready to send: digits of other scripts in ASCII, no blanks and no hyphens. */
export function normalizeCode(text: string): string;
/** A typed or pasted backup code made ready to send: ASCII digits, blanks and hyphens. What counts of the rest is the server's to say. */
export function normalizeBackupCode(text: string): string;

/** The key URI that an authenticator scans or opens. */
export function buildUri(config: TotpConfig & { account: string }, options?: SchemeOptions): string;
/** What a key URI says, `otpauth:` or `apple-otpauth:`; whatever is doubtful is refused. */
export function parseUri(uri: string): ParsedTotpConfig;
/** The accounts in a QR code of Google Authenticator's export (`otpauth-migration:`). */
export function parseMigration(uri: string): Migration;
/** What some authenticator apps will ignore, misread or refuse. The secret is not looked at. */
export function compat(config: Partial<TotpConfig>, options?: SchemeOptions): readonly CompatWarning[];

/** The code that an authenticator shows at `atMs`, or now. It is for people to compare: only the server verifies. */
export function preview(config: TotpConfig, atMs?: number): Preview;
/**
 * Calls `onChange` now, and again each time the code changes, also after the computer has slept.
 * @returns stops it
 */
export function watchCode(config: TotpConfig, onChange: (preview: Preview) => void, options?: WatchOptions): () => void;

/** A QR code as an SVG document, with its quiet zone, black on white. */
export function qrSvg(text: string, options?: QrSvgOptions): string;
/** A QR code as a PNG, with its quiet zone, black on white. */
export function qrPng(text: string, options?: QrPngOptions): Uint8Array;
/** The modules of a QR code. */
export function qrMatrix(text: string, options?: QrOptions): QrMatrix;
/** A QR code as an element, made without `innerHTML`. */
export function qrElement(text: string, options?: QrSvgOptions): SVGSVGElement;

/**
 * Makes the core ready ahead of the first call, which otherwise takes some milliseconds longer. `sidekey/slim` needs it, with
 * the bytes of `sidekey/core.wasm` in any form.
 */
export function ready(source?: CoreSource | Promise<CoreSource>): Promise<void>;

/** @internal */
export interface Api {
  buildUri: typeof buildUri;
  compat: typeof compat;
  formatSecret: typeof formatSecret;
  generateSecret: typeof generateSecret;
  normalizeBackupCode: typeof normalizeBackupCode;
  normalizeCode: typeof normalizeCode;
  parseMigration: typeof parseMigration;
  parseUri: typeof parseUri;
  preview: typeof preview;
  qrElement: typeof qrElement;
  qrMatrix: typeof qrMatrix;
  qrPng: typeof qrPng;
  qrSvg: typeof qrSvg;
  ready: typeof ready;
  watchCode: typeof watchCode;
}
