/** A virtual authenticator app for Playwright, Vitest, Jest and any other test runner. Not for production code. */

/** The modules of a QR code row by row, without the quiet zone; truthy for dark. */
export interface QrModules {
  size: number;
  modules: ArrayLike<number | boolean>;
}

/** A picture in RGBA, as a canvas gives it. */
export interface RgbaPicture {
  data: Uint8ClampedArray;
  width: number;
  height: number;
}

/** What is needed of a Playwright `Locator`. */
export interface LocatorLike {
  locator(selector: string): LocatorLike;
  first(): LocatorLike;
  or(other: any): LocatorLike;
  and(other: any): LocatorLike;
  page(): PageLike;
  getAttribute(name: string): Promise<string | null>;
}

/** What is needed of a Playwright `Page`. */
export interface PageLike {
  locator(selector: string): LocatorLike;
}

/**
 * Where the key comes from:
 * - a key URI, or a secret in base32 (then SHA-1, 6 digits, 30 s);
 * - a QR code that Sidekey has drawn, as SVG text or as modules;
 * - a picture, as RGBA, the bytes of a PNG file or its data URI: needs `decode`;
 * - a Playwright page or locator, or a DOM node: the link to the app or `<sidekey-qr uri>` in it.
 */
export type Source = string | QrModules | RgbaPicture | Uint8Array | PageLike | LocatorLike | ParentNode;

/**
 * Reads a QR code from a picture. Pixels come with width and height, as `jsqr` wants them; a PNG comes as its bytes alone.
 */
export type QrDecoder = (
  data: any,
  width?: any,
  height?: any,
) => string | { data: string } | null | undefined | Promise<string | { data: string } | null | undefined>;

export interface Options {
  /** The clock that counts, in ms since 1970; that of the server under test where it has its own. Default `Date.now`. */
  now?: () => number | Promise<number>;
  /** Waits, or moves the clock on. Default: `setTimeout`. */
  sleep?: (ms: number) => unknown;
  decode?: QrDecoder;
  /** A code that is valid for no longer than this is not given; the next one is. Default 1,000. */
  marginMs?: number;
}

export interface VirtualAuthenticator {
  /** Base32. */
  readonly secret: string;
  /** Empty where there is none. */
  readonly issuer: string;
  readonly account: string;
  readonly algorithm: "SHA1" | "SHA256" | "SHA512";
  readonly digits: number;
  /** Seconds. */
  readonly period: number;
  /** The current code if it was never given and has time left, else, after waiting for it, the next one. */
  code(): Promise<string>;
  /** Two codes of consecutive steps, for `NEXT_CODE_REQUIRED`. Both count as used. */
  codePair(): Promise<{ code: string; next_code: string }>;
  /** The code of any moment, used or not. @param ms since 1970 */
  codeAt(ms: number): string;
  /** How long the current code is still valid. */
  remainingMs(): Promise<number>;
}

/** Gives the authenticator the key that `source` holds. */
export function virtualAuthenticator(source: Source, options?: Options): Promise<VirtualAuthenticator>;

/** What a seeded user is, see the table in Sidekey's docs/integration.md. */
export type Persona =
  | "one_device"
  | "two_devices"
  | "few_backup_codes"
  | "throttled"
  | "next_code"
  | "locked"
  | "pending_setup"
  | "admin"
  | "never_enrolled";

export interface SeededDevice {
  id: string;
  name: string;
  is_primary: boolean;
  status: "active" | "pending";
  /** Base32. */
  secret: string;
  provisioning_uri: string;
}

export interface SeededUser {
  user_id: string;
  /** Null for one that was described. */
  persona: Persona | null;
  account_name: string | null;
  devices: SeededDevice[];
  /** Those that are left. */
  backup_codes: string[];
  used_backup_codes: string[];
}

export interface WantedUser {
  user_id: string;
  account_name?: string;
  persona?: Persona;
  /** In place of `persona`. */
  devices?: { secret?: string; name?: string }[];
  backup_codes_left?: number;
}

export interface Seeded {
  app_id: string;
  seed: number;
  users: SeededUser[];
  /** The same users by persona, or by `user_id` where they were described. */
  by: Record<string, SeededUser>;
}

export interface DevelopmentServer {
  /** The server's clock, in ms since 1970. */
  now(): Promise<number>;
  /** Moves it forward, and gives the new time in ms. */
  advanceClock(seconds: number): Promise<number>;
  /** For `virtualAuthenticator`: waiting is moving the server's clock. */
  clock: { now(): Promise<number>; sleep(ms: number): Promise<number> };
  /** Makes users, the same for the same number; those of the same names are erased first. Without `users`, all personas. */
  seed(wanted?: { seed?: number; users?: WantedUser[] }): Promise<Seeded>;
}

/**
 * A Sidekey server in development mode.
 * @param baseUrl with its base path
 * @param options `apiKey` of the application whose users are made; without it, they are of `demo`
 */
export function developmentServer(
  baseUrl: string,
  options?: { apiKey?: string; fetch?: typeof globalThis.fetch },
): DevelopmentServer;
