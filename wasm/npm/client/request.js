// @ts-check
/** One request and its answer: credentials, time limit, problem documents. */

import { refusal, SidekeyError } from "./error.js";

/** @typedef {import("./index.d.ts").TokenSource} TokenSource */
/** @typedef {import("./index.d.ts").CallOptions} CallOptions */

/**
 * @typedef {object} Connection
 * @property {string} base without a slash at its end
 * @property {typeof globalThis.fetch} fetch
 * @property {TokenSource | undefined} token
 * @property {AbortSignal | undefined} signal ends every request
 * @property {number} timeoutMs
 * @property {import("./clock.js").ServerClock} clock
 */
/**
 * @typedef {object} Sent
 * @property {string} method
 * @property {string} path
 * @property {object | undefined} [body]
 * @property {Record<string, string>} [headers]
 * @property {number} [timeoutMs]
 */

/**
 * A request that proves itself with the token. One that the server no longer takes is asked for anew, once: nothing was
 * judged or changed by the refused request, so it may be repeated.
 * @param {Connection} connection
 * @param {Sent} sent
 * @param {CallOptions | undefined} options
 */
export async function authorized(connection, sent, options) {
  const source = options?.token ?? connection.token;
  const token = typeof source === "function" ? await source({}) : source;
  if (!token) throw new SidekeyError("AUTH_REQUIRED", { message: "no token was given to the client (AUTH_REQUIRED)" });
  try {
    return await anonymous(connection, bearing(sent, token), options);
  } catch (error) {
    if (typeof source !== "function" || !(error instanceof SidekeyError) || error.code !== "AUTH_REQUIRED") throw error;
    const newer = await source({ rejected: token });
    if (!newer || newer === token) throw error;
    return anonymous(connection, bearing(sent, newer), options);
  }
}

/** @param {Sent} sent @param {string} token @returns {Sent} */
const bearing = (sent, token) => ({ ...sent, headers: { ...sent.headers, Authorization: `Bearer ${token}` } });

/**
 * A request without credentials.
 * @param {Connection} connection
 * @param {Sent} sent
 * @param {CallOptions | undefined} options
 * @returns {Promise<any>}
 */
export async function anonymous(connection, sent, options) {
  const limit = timeLimit(sent.timeoutMs ?? connection.timeoutMs, [connection.signal, options?.signal]);
  const started = Date.now();
  try {
    limit.signal.throwIfAborted();
    const response = await connection.fetch(connection.base + sent.path, {
      method: sent.method,
      headers: {
        Accept: "application/json, application/problem+json",
        ...(sent.body ? { "Content-Type": "application/json" } : {}),
        ...sent.headers,
      },
      body: sent.body ? JSON.stringify(sent.body) : null,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: limit.signal,
    });
    connection.clock.learn(response.headers.get("date"), started, Date.now());
    const value = parsed(await response.text());
    if (response.ok && value) return value;
    throw refusal(response, value);
  } catch (error) {
    if (error instanceof SidekeyError) throw error;
    const abandoned = [connection.signal, options?.signal].find((signal) => signal?.aborted);
    if (abandoned) throw abandoned.reason;
    throw new SidekeyError("NETWORK", { message: "the server could not be reached (NETWORK)", cause: error });
  } finally {
    limit.end();
  }
}

/**
 * A signal that follows others and the clock; `AbortSignal.any` is younger than the browsers that this runs in.
 * @param {number} timeoutMs
 * @param {(AbortSignal | undefined)[]} signals
 */
function timeLimit(timeoutMs, signals) {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const timer = setTimeout(abort, timeoutMs);
  for (const signal of signals) {
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  }
  const end = () => {
    clearTimeout(timer);
    for (const signal of signals) signal?.removeEventListener("abort", abort);
  };
  return { signal: controller.signal, end };
}

/** @param {string} content @returns {Record<string, unknown> | null} */
function parsed(content) {
  try {
    const value = JSON.parse(content);
    return value !== null && typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}
