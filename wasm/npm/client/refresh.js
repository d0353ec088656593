// @ts-check
/**
 * The exchange of a refresh token. Invariant: a token is spent at most once, because the server takes a second use for
 * theft and ends the login. Hence one exchange at a time for each token, and repetitions only under the same
 * `Idempotency-Key` and within the 10 s in which the server knows it.
 */

import { SidekeyError } from "./error.js";
import { anonymous } from "./request.js";

/** @typedef {import("./index.d.ts").Tokens} Tokens */

/** How long one attempt may take: three of them end before the server forgets the key. */
const ATTEMPT_MS = 2_500;
const PAUSES_MS = [250, 1_000];
/** A repetition later than this might reach the server after its 10 s. */
const LAST_START_MS = 6_500;

/** @param {import("./request.js").Connection} connection */
export function refreshing(connection) {
  /** @type {Map<string, Promise<Tokens>>} */
  const underWay = new Map();

  /**
   * @param {string} token
   * @param {import("./index.d.ts").RefreshOptions} [options]
   * @returns {Promise<Tokens>}
   */
  return (token, options) => {
    const already = underWay.get(token);
    if (already) return already;
    const exchange = persistent(connection, token, options).finally(() => underWay.delete(token));
    underWay.set(token, exchange);
    return exchange;
  };
}

/**
 * @param {import("./request.js").Connection} connection
 * @param {string} token
 * @param {import("./index.d.ts").RefreshOptions | undefined} options
 */
async function persistent(connection, token, options) {
  const sent = {
    method: "POST",
    path: "/2fa/token/refresh/",
    body: { refresh_token: token },
    headers: { "Idempotency-Key": options?.idempotencyKey ?? randomKey() },
    timeoutMs: Math.min(ATTEMPT_MS, connection.timeoutMs),
  };
  const started = performance.now();
  for (const pause of PAUSES_MS) {
    try {
      return await anonymous(connection, sent, options);
    } catch (error) {
      const mayHelp = error instanceof SidekeyError && (error.code === "NETWORK" || error.code === "UNAVAILABLE");
      if (!mayHelp || performance.now() - started + pause > LAST_START_MS) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  return anonymous(connection, sent, options);
}

/** `crypto.randomUUID` is missing on plain HTTP, this is not. */
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
