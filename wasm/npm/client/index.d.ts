/** A small client of Sidekey's HTTP API. Bodies and answers have the names of the API, see its documentation. */

/** Codes of the API, and `NETWORK` where no answer came. New ones may come: have a default branch. */
export type SidekeyErrorCode =
  | "NETWORK"
  | "VALIDATION_ERROR"
  | "INVALID_CODE"
  | "SESSION_EXPIRED"
  | "CODE_REQUIRED"
  | "NEXT_CODE_REQUIRED"
  | "2FA_NOT_ENABLED"
  | "SETUP_EXPIRED"
  | "AUTH_REQUIRED"
  | "2FA_REQUIRED"
  | "FORBIDDEN"
  | "MAX_ATTEMPTS_EXCEEDED"
  | "SESSION_NOT_FOUND"
  | "DEVICE_NOT_FOUND"
  | "NOT_FOUND"
  | "METHOD_NOT_ALLOWED"
  | "SESSION_ALREADY_VERIFIED"
  | "PAYLOAD_TOO_LARGE"
  | "UNSUPPORTED_MEDIA_TYPE"
  | "ACCOUNT_LOCKED"
  | "ACCOUNT_THROTTLED"
  | "RATE_LIMITED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | (string & {});

/** What every function of the client throws; an abort by your own signal throws that signal's reason instead. */
export class SidekeyError extends Error {
  constructor(
    code: SidekeyErrorCode,
    more?: {
      message?: string;
      status?: number;
      problem?: Record<string, unknown>;
      retryAfter?: number | null;
      requestId?: string | null;
      cause?: unknown;
    },
  );
  readonly name: "SidekeyError";
  readonly code: SidekeyErrorCode;
  /** HTTP status, 0 where no answer came. */
  readonly status: number;
  /** The whole problem document (RFC 9457). */
  readonly problem: Readonly<Record<string, unknown>>;
  /** Seconds to wait, of `ACCOUNT_THROTTLED`, `RATE_LIMITED` and `UNAVAILABLE`. */
  readonly retryAfter: number | null;
  /** Number of the request in the server's log. */
  readonly requestId: string | null;
  /** A sentence for each malformed field, of `VALIDATION_ERROR`. */
  readonly errors: Readonly<Record<string, string>>;
  /** Answers that the session still takes. */
  readonly attemptsRemaining: number | null;
  /** How old the second factor may be in seconds, of `2FA_REQUIRED`. */
  readonly maxAge: number | null;
  /** Where the application wants its users back, where the session has ended. */
  readonly returnUrl: string | null;
}

/**
 * A token, or a function that gives one. It is asked before each request; where the server takes the token no longer, it is
 * asked once more with the rejected one, so that it can refresh, and the request is repeated if another token comes.
 */
export type TokenSource = string | ((asked: { rejected?: string }) => string | null | undefined | Promise<string | null | undefined>);

export interface ClientOptions {
  /** Where Sidekey lies, its base path included: `https://auth.example` or `/api`. Default: the page's own origin. */
  baseUrl?: string;
  /** Access token, enrolment token, or (on a server only) API key. */
  token?: TokenSource;
  fetch?: typeof globalThis.fetch;
  /** Ends every request of this client. */
  signal?: AbortSignal;
  /** Default 20,000. */
  timeoutMs?: number;
}

export interface CallOptions {
  signal?: AbortSignal;
  /** Instead of the client's. */
  token?: TokenSource;
}

/**
 * Of a request that is repeated by itself while no answer comes. The server knows it again by its `Idempotency-Key` for 10 s, and a
 * session that was opened by it for as long as that lives.
 */
export interface RepeatableOptions extends CallOptions {
  /**
   * 1 to 255 visible ASCII characters. Stored before the request, it lets a reloaded page or a restarted server repeat it.
   * Default: a random one.
   */
  idempotencyKey?: string;
}

export type RefreshOptions = RepeatableOptions;

export interface CodeAnswer {
  code: string;
  /** The code that follows, after `NEXT_CODE_REQUIRED`. */
  next_code?: string;
}

export interface Tokens {
  access_token: string;
  refresh_token: string;
  token_type: "Bearer";
  /** Life of the access token in seconds. */
  expires_in: number;
}

export interface Setup {
  device_id: string;
  /** Base32. */
  secret: string;
  provisioning_uri: string;
  /** A PNG as a data URI. */
  qr_code_base64: string;
  qr_code_svg: string;
  expires_in: number;
}

export interface Confirmed extends Tokens {
  message: string;
  /** With the first device only. */
  backup_codes?: string[];
  backup_codes_warning?: string;
  return_url?: string;
}

export interface Verified extends Tokens {
  message: string;
  user: { id: string; account_name: string | null };
  persistent_session: boolean;
  return_url?: string;
  /** Where `trust_device` was asked for. */
  trusted_browser_token?: string;
}

export interface VerifiedByBackupCode extends Verified {
  remaining_backup_codes: number;
  /** Null while more than 3 are left. */
  warning: string | null;
}

export interface Device {
  id: string;
  name: string;
  is_primary: boolean;
  status: "pending" | "active" | "disabled";
  /** RFC 3339, UTC, like all times. */
  created_at: string;
  confirmed_at: string | null;
  last_used_at: string | null;
}

export interface OpenSession {
  /** Opaque, 1 to 255 bytes. */
  user_id: string;
  account_name?: string;
  ip_address?: string;
  user_agent?: string;
  remember_me?: boolean;
  is_admin?: boolean;
  return_url?: string;
  trusted_browser_token?: string;
  /** The one action that the user is to approve; there is no login then. */
  action?: string;
  /** What it is done to. */
  resource?: string;
}

export interface SpentToken {
  message: string;
  user_id: string;
  action: string;
  resource: string | null;
  jti: string;
  verified_at: string;
}

export interface Challenge {
  requires_2fa: true;
  requires_enrollment?: undefined;
  session_id: string;
  expires_in: number;
  methods: ("totp" | "backup_code")[];
  verify_url: string;
}

export interface EnrollmentDemanded {
  requires_2fa: true;
  requires_enrollment: true;
  session_id: string;
  expires_in: number;
  enroll_url: string;
  enrollment_token: string;
}

export interface LetIn extends Tokens {
  requires_2fa: false;
  should_enroll: boolean;
  enroll_by?: string;
}

export interface SessionStatus {
  status: "pending" | "verified" | "expired" | "failed";
  user_id: string;
  created_at: string;
  expires_at: string;
  verified_at: string | null;
}

export interface ActivityEntry {
  at: string;
  /** New ones may come: show one that you do not know by its name. */
  event: string;
  /** `refused` where somebody may have tried what they should not. */
  outcome: "ok" | "refused";
  method: "totp" | "backup_code" | null;
  device_id: string | null;
  ip_address: string | null;
  user_agent: string | null;
  request_id: string;
}

export interface TrustedBrowser {
  id: string;
  user_agent: string | null;
  trusted_at: string;
  last_used_at: string | null;
  expires_at: string;
}

export interface UserStatus {
  user_id: string;
  has_2fa_enabled: boolean;
  requires_2fa: boolean;
  devices: number;
  backup_codes_remaining: number;
  throttled_until: string | null;
  locked: boolean;
  last_verified_at: string | null;
}

export type Enforcement = "optional" | "encouraged" | "required" | "admins";

export interface AppSettings {
  app_id: string;
  name: string;
  enforcement: Enforcement;
  /** With `required`. */
  grace_days?: number;
  return_urls: string[];
  /** `#rrggbb`. */
  accent_color: string | null;
  accent_text_color: "#ffffff" | "#000000" | null;
  /** A data URI. */
  logo: string | null;
}

/** What is known of the server's clock, learnt from the `Date` header of its answers. */
export interface ServerClock {
  /** What to add to this device's clock to get the server's; null while nothing is known. */
  readonly offsetMs: number | null;
  /** Milliseconds since 1970 by the server's clock as far as it is known, else by this device's. */
  now(): number;
}

/** A user who has their second factor elsewhere. */
export interface ImportedUser {
  user_id: string;
  account_name?: string;
  devices: ImportedDevice[];
  backup_codes?: ImportedCodes;
}

/** A key URI, or a secret in base32 with what differs from SHA1, six digits and 30 seconds. */
export type ImportedDevice = (
  | { key_uri: string }
  | { secret: string; algorithm?: "SHA1" | "SHA256" | "SHA512"; digits?: number; period?: number }
) & { name?: string; created_at?: string; last_used_at?: string; last_step?: number; is_primary?: boolean };

/** Recovery codes that are left: texts, or the hex or base64 of their hashes. `case` and `separators` say what counts of what is typed. */
export interface ImportedCodes {
  form: "native" | "text" | "sha256" | "sha512";
  case?: "exact" | "lower" | "upper";
  separators?: "exact" | "ignored";
  codes: string[];
}

/** What became of each user, in the order in which they were named. */
export interface Imported {
  results: ImportedLine[];
  imported: number;
  skipped: number;
  refused: number;
  dry_run: boolean;
}

export interface ImportedLine {
  user_id: string;
  outcome: "imported" | "skipped" | "refused";
  devices: number;
  backup_codes: number;
  /** Why a user was not taken over. */
  reason?: string;
  /** What was left out of a user, and why. */
  notes?: string[];
}

export interface SidekeyClient {
  readonly clock: ServerClock;

  /** Shows the same secret again for 10 minutes; `restart` makes a new one. */
  startSetup(body?: { device_name?: string; restart?: boolean }, options?: CallOptions): Promise<Setup>;
  confirmSetup(body: { device_id: string } & CodeAnswer, options?: CallOptions): Promise<Confirmed>;

  verify(body: { session_id: string; trust_device?: boolean } & CodeAnswer, options?: CallOptions): Promise<Verified>;
  verifyBackup(
    body: { session_id: string; backup_code: string; trust_device?: boolean },
    options?: CallOptions,
  ): Promise<VerifiedByBackupCode>;

  listDevices(options?: CallOptions): Promise<{ devices: Device[]; has_2fa_enabled: boolean }>;
  changeDevice(id: string, body: { name?: string; is_primary?: true }, options?: CallOptions): Promise<Device>;
  removeDevice(id: string, body?: Partial<CodeAnswer>, options?: CallOptions): Promise<{ message: string }>;
  /** Turns two-factor authentication off. */
  disable(body: CodeAnswer | { backup_code: string }, options?: CallOptions): Promise<{ message: string }>;

  backupCodeStatus(options?: CallOptions): Promise<{ remaining_count: number; total_generated: number; warning: string | null }>;
  renewBackupCodes(body: CodeAnswer, options?: CallOptions): Promise<{ backup_codes: string[]; warning: string | null }>;

  /** Newest first; `before` is `next` of the page before. */
  listActivity(
    page?: { limit?: number; before?: string | null },
    options?: CallOptions,
  ): Promise<{ activity: ActivityEntry[]; next: string | null }>;
  listTrustedBrowsers(options?: CallOptions): Promise<{ trusted_browsers: TrustedBrowser[] }>;
  forgetBrowser(id: string, options?: CallOptions): Promise<{ message: string }>;
  /** Ends every login of the user, this one too, and the trust in every browser. */
  signOutEverywhere(options?: CallOptions): Promise<{ message: string }>;

  /**
   * The next pair of tokens. Spends the given one: lost answers are asked for again under the same `Idempotency-Key`, and
   * calls with the same token at the same time share one exchange.
   */
  refresh(refreshToken: string, options?: RepeatableOptions): Promise<Tokens>;
  /** Ends the login. */
  revoke(refreshToken: string, options?: CallOptions): Promise<{ message: string }>;

  /** A session for the user of the access token, to be answered with a fresh second factor. */
  openStepUp(body?: { return_url?: string }, options?: CallOptions): Promise<Challenge>;
  /** With an API key, so on your server and never in a browser. */
  openSession(body: OpenSession, options?: RepeatableOptions): Promise<Challenge | EnrollmentDemanded | LetIn>;
  /** With an API key. */
  sessionStatus(sessionId: string, options?: CallOptions): Promise<SessionStatus>;
  /** With an API key: the tokens of the login whose one-time code came with the browser. It counts once, for a minute. */
  exchangeCode(code: string, options?: RepeatableOptions): Promise<Verified>;
  /**
   * With an API key, right before the action is done: its token counts once, for exactly this action. Make the `idempotencyKey` where the
   * action is decided on.
   */
  spendToken(
    body: { action_token: string; action: string; resource?: string },
    options?: RepeatableOptions,
  ): Promise<SpentToken>;
  /** The user's way to the hosted account page, good once and for a minute. With an API key, `sid` says which login. */
  linkAccount(body?: { sid?: string }, options?: CallOptions): Promise<{ account_url: string; expires_in: number }>;

  /** With an API key, like all that follow. */
  userStatus(userId: string, options?: CallOptions): Promise<UserStatus>;
  unlockUser(userId: string, options?: CallOptions): Promise<{ message: string }>;
  /** Removes the user with devices, codes and logins. */
  eraseUser(userId: string, options?: CallOptions): Promise<{ message: string }>;
  /** Takes over users who have their second factor elsewhere; who has a device here stays as they are. At most 16 KiB at once. */
  importUsers(body: { users: ImportedUser[]; dry_run?: boolean }, options?: CallOptions): Promise<Imported>;

  appSettings(options?: CallOptions): Promise<AppSettings>;
  /** Settings that are not named stay; `null` takes colour and logo away. */
  changeApp(body: Partial<Omit<AppSettings, "app_id" | "accent_text_color">>, options?: CallOptions): Promise<AppSettings>;
}

export function createClient(options?: ClientOptions): SidekeyClient;
