// @ts-check
/**
 * Who is signed in in this tab: the only user of `sessionStorage`.
 *
 * Invariant: a refresh token is spent at most once, because a second use revokes its whole family. Hence one refresh at
 * a time, a key that is stored before the request so that a reload can repeat it, and word to duplicated tabs.
 */

import { openStepUp, refreshTokens, revokeTokens, SidekeyError } from "./api.js";
import { leaveTo, pageAddress } from "./place.js";

/**
 * @typedef {object} SignedIn
 * @property {string} access_token
 * @property {string} refresh_token
 * @property {number} expires_at by this device's clock, in ms
 * @property {string} [account_name]
 * @property {string} [refresh_key] set while a refresh is under way
 */

const SIGNED_IN = "sidekey.signed-in";
const STEP_UP = "sidekey.step-up";
const DEFAULT_LIFETIME_S = 900;
const REFRESH_BEFORE_MS = 30_000;

/** Stands in where the browser forbids storage: then the sign-in lasts as long as the page. @type {Map<string, string>} */
const memory = new Map();

/** @param {string} key @returns {any} */
function read(key) {
  let text = memory.get(key) ?? null;
  try {
    text = sessionStorage.getItem(key) ?? text;
  } catch {
    // Storage is forbidden: what memory holds is all there is.
  }
  return text === null ? null : JSON.parse(text);
}

/** @param {string} key @param {object | null} value null removes it */
function write(key, value) {
  memory.delete(key);
  try {
    if (value) sessionStorage.setItem(key, JSON.stringify(value));
    else sessionStorage.removeItem(key);
  } catch {
    if (value) memory.set(key, JSON.stringify(value));
  }
}

/** @returns {SignedIn | null} */
const stored = () => read(SIGNED_IN);

/**
 * A duplicated tab starts with a copy of the tokens; each tells the other what replaced them.
 * @typedef {{ spent: string, next: SignedIn }} Replaced
 */
const tabs = new BroadcastChannel("sidekey.refreshed");
tabs.addEventListener("message", (event) => {
  const { spent, next } = /** @type {Replaced} */ (event.data);
  if (stored()?.refresh_token === spent) write(SIGNED_IN, next);
});

export const isSignedIn = () => stored() !== null;

/** Name of the account as the person knows it, where it was told. */
export const accountName = () => stored()?.account_name ?? "";

/**
 * Keeps the tokens of a fresh sign-in.
 * @param {import("./api.js").Tokens} tokens
 * @param {string} [account]
 */
export function keepTokens(tokens, account) {
  write(SIGNED_IN, signedInBy(tokens, account ?? stored()?.account_name));
}

/** @param {import("./api.js").Tokens} tokens @param {string | undefined} account @returns {SignedIn} */
function signedInBy(tokens, account) {
  return {
    access_token: tokens.access_token,
    refresh_token: tokens.refresh_token,
    expires_at: Date.now() + (tokens.expires_in ?? DEFAULT_LIFETIME_S) * 1000,
    ...(account ? { account_name: account } : {}),
  };
}

/**
 * Calls with a token that is valid, refreshing it before or, where the server thinks otherwise, once after.
 * @template T
 * @param {(token: string) => Promise<T>} call
 * @returns {Promise<T>} throws `AUTH_REQUIRED` where nobody is signed in any more
 */
export async function authorized(call) {
  const now = stored();
  if (!now) throw new SidekeyError("AUTH_REQUIRED");
  const token = now.expires_at - Date.now() > REFRESH_BEFORE_MS ? now.access_token : await refreshed(now.access_token);
  try {
    return await call(token);
  } catch (error) {
    if (!(error instanceof SidekeyError) || error.code !== "AUTH_REQUIRED") throw error;
    return call(await refreshed(token));
  }
}

/** @type {Promise<string> | null} */
let refreshing = null;

/** A newer access token than the given one. @param {string} token */
function refreshed(token) {
  const now = stored();
  if (now && now.access_token !== token) return Promise.resolve(now.access_token);
  refreshing ??= refresh().finally(() => {
    refreshing = null;
  });
  return refreshing;
}

async function refresh() {
  const now = stored();
  if (!now) throw new SidekeyError("AUTH_REQUIRED");
  const key = now.refresh_key ?? randomKey();
  write(SIGNED_IN, { ...now, refresh_key: key });
  try {
    const tokens = await refreshTokens(now.refresh_token, key).catch((error) => {
      if (error.code !== "NETWORK") throw error;
      return refreshTokens(now.refresh_token, key);
    });
    const next = signedInBy(tokens, now.account_name);
    write(SIGNED_IN, next);
    tabs.postMessage({ spent: now.refresh_token, next });
    return next.access_token;
  } catch (error) {
    const replacedMeanwhile = stored();
    if (replacedMeanwhile && replacedMeanwhile.refresh_token !== now.refresh_token) return replacedMeanwhile.access_token;
    if (error instanceof SidekeyError && error.code === "AUTH_REQUIRED") write(SIGNED_IN, null);
    throw error;
  }
}

/** `crypto.randomUUID` is missing on plain HTTP, these are not. */
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Ends the sign-in here at once, and at the server as far as it can be reached. */
export async function signOut() {
  const now = stored();
  write(SIGNED_IN, null);
  if (!now) return;
  try {
    await revokeTokens(now.refresh_token, now.access_token);
  } catch {
    // The tokens are gone from this browser; what the server still holds runs out by itself.
  }
}

/**
 * Asks for a fresh second factor on the challenge page, which comes back to `page`.
 * @param {"account" | "enroll"} page
 */
async function stepUp(page) {
  const opened = await authorized(openStepUp);
  if (!opened.session_id) throw new SidekeyError("INTERNAL");
  write(STEP_UP, { session_id: opened.session_id, page });
  leaveTo(pageAddress("challenge", opened.session_id));
}

/**
 * As `authorized`; where a fresh second factor is missing, leaves for the challenge page and never answers.
 * @template T
 * @param {(token: string) => Promise<T>} call
 * @param {"account" | "enroll"} page to come back to
 * @returns {Promise<T>}
 */
export async function withSecondFactor(call, page) {
  try {
    return await authorized(call);
  } catch (error) {
    if (!(error instanceof SidekeyError) || error.code !== "2FA_REQUIRED") throw error;
    await stepUp(page);
    return new Promise(() => {});
  }
}

/**
 * The page that asked for this session as a step-up, or null when it is an ordinary sign-in.
 * @param {string} sessionId
 * @returns {"account" | "enroll" | null}
 */
export function stepUpOf(sessionId) {
  const asked = read(STEP_UP);
  return asked?.session_id === sessionId ? asked.page : null;
}

/**
 * Goes on after a sign-in: where the step-up came from, else to the application, else to the account page.
 * @param {string} sessionId
 * @param {string | null} returnAddress
 */
export function goOn(sessionId, returnAddress) {
  const page = stepUpOf(sessionId);
  write(STEP_UP, null);
  leaveTo(page ? pageAddress(page) : (returnAddress ?? pageAddress("account")));
}
