// @ts-check
/**
 * The HTTP API as functions: one for each endpoint, each giving the parsed answer or throwing a `SidekeyError`. Bodies and
 * answers have the names of the API. Nothing is kept but what is known of the server's clock.
 */

import { ServerClock } from "./clock.js";
import { refreshing } from "./refresh.js";
import { repeated } from "./repeat.js";
import { anonymous, authorized } from "./request.js";

export { SidekeyError } from "./error.js";

/** @typedef {import("./index.d.ts").CallOptions} CallOptions */

/** A request that has not been answered by then is given up. */
const TIMEOUT_MS = 20_000;

/** @type {typeof import("./index.d.ts").createClient} */
export const createClient = ({ baseUrl = "", token, fetch = globalThis.fetch, signal, timeoutMs = TIMEOUT_MS } = {}) => {
  const connection = { base: checkedBase(baseUrl), fetch: bound(fetch), token, signal, timeoutMs, clock: new ServerClock() };

  /** @param {string} method @param {string} path @param {object | undefined} body @param {CallOptions | undefined} options */
  const asUser = (method, path, body, options) => authorized(connection, { method, path, body }, options);

  /** @param {string} path @param {object} body @param {CallOptions | undefined} options */
  const asAnybody = (path, body, options) => anonymous(connection, { method: "POST", path, body }, options);

  /** @param {string} path @param {object} body @param {import("./index.d.ts").RepeatableOptions | undefined} options */
  const once = (path, body, options) => repeated(authorized, connection, { method: "POST", path, body }, options);

  /** @param {string} id */
  const device = (id) => `/2fa/devices/${encodeURIComponent(id)}/`;

  /** @param {string} id */
  const user = (id) => `/2fa/users/${encodeURIComponent(id)}/`;

  return {
    clock: connection.clock,

    startSetup: (body = {}, options) => asUser("POST", "/2fa/setup/", body, options),
    confirmSetup: (body, options) => asUser("POST", "/2fa/setup/confirm/", body, options),

    verify: (body, options) => asAnybody("/2fa/verify/", body, options),
    verifyBackup: (body, options) => asAnybody("/2fa/verify/backup/", body, options),

    listDevices: (options) => asUser("GET", "/2fa/devices/", undefined, options),
    changeDevice: (id, body, options) => asUser("PATCH", device(id), body, options),
    removeDevice: (id, body = {}, options) => asUser("DELETE", device(id), body, options),
    disable: (body, options) => asUser("POST", "/2fa/disable/", body, options),

    backupCodeStatus: (options) => asUser("GET", "/2fa/backup-codes/", undefined, options),
    renewBackupCodes: (body, options) => asUser("POST", "/2fa/backup-codes/regenerate/", body, options),

    listActivity: (page = {}, options) => asUser("GET", `/2fa/activity/${query(page)}`, undefined, options),
    listTrustedBrowsers: (options) => asUser("GET", "/2fa/trusted-browsers/", undefined, options),
    forgetBrowser: (id, options) => asUser("DELETE", `/2fa/trusted-browsers/${encodeURIComponent(id)}/`, undefined, options),
    signOutEverywhere: (options) => asUser("POST", "/2fa/sign-out/", {}, options),

    refresh: refreshing(connection),
    revoke: (refreshToken, options) => asAnybody("/2fa/token/revoke/", { refresh_token: refreshToken }, options),

    openStepUp: (body = {}, options) => asUser("POST", "/2fa/sessions/", body, options),
    openSession: (body, options) => once("/2fa/sessions/", body, options),
    sessionStatus: (sessionId, options) => asUser("GET", `/2fa/sessions/${encodeURIComponent(sessionId)}/`, undefined, options),
    exchangeCode: (code, options) => once("/2fa/token/", { code }, options),
    spendToken: (body, options) => once("/2fa/token/spend/", body, options),
    linkAccount: (body = {}, options) => asUser("POST", "/2fa/account/link/", body, options),

    userStatus: (id, options) => asUser("GET", user(id), undefined, options),
    unlockUser: (id, options) => asUser("POST", `${user(id)}unlock/`, {}, options),
    eraseUser: (id, options) => asUser("DELETE", user(id), undefined, options),
    importUsers: (body, options) => asUser("POST", "/2fa/users/import/", body, options),

    appSettings: (options) => asUser("GET", "/2fa/app/", undefined, options),
    changeApp: (body, options) => asUser("PATCH", "/2fa/app/", body, options),
  };
};

/** The question of an address, empty where nothing is asked. @param {Record<string, string | number | null | undefined>} values */
function query(values) {
  const known = Object.entries(values).flatMap(([name, value]) => (value === undefined || value === null ? [] : [[name, String(value)]]));
  return known.length > 0 ? `?${new URLSearchParams(known)}` : "";
}

/** Browsers call `fetch` only as a function of the window. @param {typeof globalThis.fetch} fetch @returns {typeof globalThis.fetch} */
function bound(fetch) {
  if (typeof fetch !== "function") throw new TypeError("this environment has no `fetch`: give one to `createClient`");
  return fetch === globalThis.fetch ? (input, init) => globalThis.fetch(input, init) : fetch;
}

/** @param {string} baseUrl */
function checkedBase(baseUrl) {
  const page = globalThis.location?.href;
  if (!URL.canParse(baseUrl, page)) throw new TypeError("`baseUrl` must be an absolute URL, or a path where a page gives the rest");
  return baseUrl.replace(/\/+$/, "");
}
