// @ts-check
/** The HTTP contract as functions: one per endpoint, each answering the parsed body or throwing a `SidekeyError`. */

import { learnFrom } from "./clock.js";
import { base } from "./place.js";

/** What the server, or the way to it, refused. Programs branch on `code`; people read `messages.js`. */
export class SidekeyError extends Error {
  /**
   * @param {string} code one of the contract's codes, or `NETWORK` when no answer came
   * @param {object} [more]
   * @param {number} [more.status]
   * @param {Record<string, unknown>} [more.members] the whole problem document
   * @param {number | null} [more.retryAfter] seconds
   * @param {string | null} [more.requestId]
   */
  constructor(code, { status = 0, members = {}, retryAfter = null, requestId = null } = {}) {
    super(code);
    this.name = "SidekeyError";
    this.code = code;
    this.status = status;
    this.members = members;
    this.retryAfter = retryAfter;
    this.requestId = requestId;
  }

  /** Answers that this session still takes, or null where no session is answered. */
  get attemptsRemaining() {
    const count = this.members["attempts_remaining"];
    return typeof count === "number" ? count : null;
  }
}

/**
 * @typedef {object} Tokens
 * @property {string} access_token
 * @property {string} refresh_token
 * @property {number} [expires_in] seconds
 */
/**
 * @typedef {object} Setup
 * @property {string} device_id
 * @property {string} secret base32
 * @property {string} provisioning_uri
 * @property {string} qr_code_base64 PNG as a data URI
 * @property {number} expires_in
 */
/**
 * @typedef {object} Enrollment
 * @property {string} enrollment_token
 * @property {number} expires_in
 * @property {string | null} account_name
 * @property {string} issuer
 * @property {string | null} [return_url]
 */
/**
 * @typedef {object} ConfirmedMembers
 * @property {string[]} [backup_codes] only with the first device
 * @property {string | null} [return_url]
 * @typedef {Tokens & ConfirmedMembers} Confirmed
 */
/**
 * @typedef {object} VerifiedMembers
 * @property {{ id: string, account_name: string | null }} user
 * @property {string | null} [return_url]
 * @property {number} [remaining_backup_codes] only after a backup code
 * @property {string | null} [warning]
 * @typedef {Tokens & VerifiedMembers} Verified
 */
/**
 * @typedef {object} Device
 * @property {string} id
 * @property {string} name
 * @property {boolean} is_primary
 * @property {"pending" | "active" | "disabled"} status
 * @property {string} created_at
 * @property {string | null} confirmed_at
 * @property {string | null} last_used_at
 */
/** @typedef {{ devices: Device[], has_2fa_enabled: boolean }} Devices */
/** @typedef {{ remaining_count: number, total_generated: number, warning: string | null }} BackupCodeStatus */
/** @typedef {{ backup_codes: string[], warning: string | null }} NewBackupCodes */
/**
 * The answer to opening a session: a challenge, an enrolment, or tokens at once.
 * @typedef {object} OpenedMembers
 * @property {boolean} requires_2fa
 * @property {boolean} [requires_enrollment]
 * @property {string} [session_id]
 * @property {string} [verify_url]
 * @property {string} [enroll_url]
 * @typedef {Partial<Tokens> & OpenedMembers} Opened
 */
/** @typedef {{ code: string, next_code?: string }} CodeAnswer */

/** A request that has not been answered by then is given up. */
const TIMEOUT_MS = 20_000;

/**
 * @param {string} method
 * @param {string} path below the base path
 * @param {{ body?: object, token?: string | undefined, headers?: Record<string, string> }} [options]
 * @returns {Promise<any>}
 */
async function call(method, path, { body, token, headers = {} } = {}) {
  /** @type {Record<string, string>} */
  const head = { Accept: "application/json, application/problem+json", ...headers };
  if (body) head["Content-Type"] = "application/json";
  if (token) head["Authorization"] = `Bearer ${token}`;
  const sent = Date.now();
  /** @type {Response} */
  let response;
  /** @type {string} */
  let content;
  try {
    response = await fetch(base + path, {
      method,
      headers: head,
      body: body ? JSON.stringify(body) : null,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    learnFrom(response, sent, Date.now());
    content = await response.text();
  } catch {
    throw new SidekeyError("NETWORK");
  }
  const value = parse(content);
  if (response.ok && value) return value;
  throw refusal(response, value ?? {});
}

/**
 * @param {string} content
 * @returns {Record<string, unknown> | null}
 */
function parse(content) {
  try {
    const value = JSON.parse(content);
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}

/**
 * @param {Response} response
 * @param {Record<string, unknown>} members
 */
function refusal(response, members) {
  const code = typeof members["code"] === "string" ? members["code"] : codeOfStatus(response.status);
  const seconds = Number(response.headers.get("retry-after") ?? NaN);
  return new SidekeyError(code, {
    status: response.status,
    members,
    retryAfter: Number.isFinite(seconds) ? Math.max(1, Math.ceil(seconds)) : null,
    requestId: response.headers.get("x-request-id"),
  });
}

/**
 * An answer without a problem document comes from something in between, such as a proxy.
 * @param {number} status
 */
function codeOfStatus(status) {
  if (status === 429) return "RATE_LIMITED";
  if (status === 502 || status === 503 || status === 504) return "UNAVAILABLE";
  return status === 404 ? "NOT_FOUND" : "INTERNAL";
}

/** @param {string} sessionId @returns {Promise<Enrollment>} */
export const startEnrollment = (sessionId) => call("POST", "/2fa/enrollment/", { body: { session_id: sessionId } });

/** @param {string} token @returns {Promise<Setup>} */
export const startSetup = (token) => call("POST", "/2fa/setup/", { token, body: {} });

/** @param {string} token @param {string} deviceId @param {CodeAnswer} answer @returns {Promise<Confirmed>} */
export const confirmSetup = (token, deviceId, answer) =>
  call("POST", "/2fa/setup/confirm/", { token, body: { device_id: deviceId, ...answer } });

/** @param {string} sessionId @param {CodeAnswer} answer @returns {Promise<Verified>} */
export const verifyCode = (sessionId, answer) =>
  call("POST", "/2fa/verify/", { body: { session_id: sessionId, ...answer } });

/** @param {string} sessionId @param {string} backupCode @returns {Promise<Verified>} */
export const verifyBackupCode = (sessionId, backupCode) =>
  call("POST", "/2fa/verify/backup/", { body: { session_id: sessionId, backup_code: backupCode } });

/** Opens a step-up session for the user of the token. @param {string} token @returns {Promise<Opened>} */
export const openStepUp = (token) => call("POST", "/2fa/sessions/", { token, body: {} });

/** @param {string} token @returns {Promise<Devices>} */
export const listDevices = (token) => call("GET", "/2fa/devices/", { token });

/** @param {string} token @param {string} id @param {{ name?: string, is_primary?: true }} change @returns {Promise<object>} */
export const changeDevice = (token, id, change) =>
  call("PATCH", `/2fa/devices/${encodeURIComponent(id)}/`, { token, body: change });

/** @param {string} token @param {string} id @param {CodeAnswer | {}} answer @returns {Promise<object>} */
export const removeDevice = (token, id, answer) =>
  call("DELETE", `/2fa/devices/${encodeURIComponent(id)}/`, { token, body: answer });

/** @param {string} token @param {CodeAnswer | { backup_code: string }} answer @returns {Promise<object>} */
export const disable = (token, answer) => call("POST", "/2fa/disable/", { token, body: answer });

/** @param {string} token @returns {Promise<BackupCodeStatus>} */
export const backupCodeStatus = (token) => call("GET", "/2fa/backup-codes/", { token });

/** @param {string} token @param {CodeAnswer} answer @returns {Promise<NewBackupCodes>} */
export const renewBackupCodes = (token, answer) => call("POST", "/2fa/backup-codes/regenerate/", { token, body: answer });

/** @param {string} refreshToken @param {string} idempotencyKey @returns {Promise<Tokens>} */
export const refreshTokens = (refreshToken, idempotencyKey) =>
  call("POST", "/2fa/token/refresh/", { body: { refresh_token: refreshToken }, headers: { "Idempotency-Key": idempotencyKey } });

/** @param {string} refreshToken @param {string} [token] @returns {Promise<object>} */
export const revokeTokens = (refreshToken, token) =>
  call("POST", "/2fa/token/revoke/", { token, body: { refresh_token: refreshToken } });

/** The demo application's own sign-in; exists in development mode only. @param {string} userId @returns {Promise<Opened>} */
export const demoSignIn = (userId) => call("POST", "/demo/sign-in/", { body: { user_id: userId, account_name: userId } });
