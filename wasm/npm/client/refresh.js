// @ts-check
/**
 * The exchange of a refresh token. Invariant: a token is spent at most once, because the server takes a second use for
 * theft and ends the login. Hence one exchange at a time for each token, and repetitions only as the server knows them.
 */

import { repeated } from "./repeat.js";
import { anonymous } from "./request.js";

/** The server gives the same successor once more, and takes a third use for theft. */
const MAY_BE_LOST = 2;

/** @typedef {import("./index.d.ts").Tokens} Tokens */

/** @param {import("./request.js").Connection} connection */
export function refreshing(connection) {
  /** @type {Map<string, Promise<Tokens>>} */
  const underWay = new Map();

  /**
   * @param {string} token
   * @param {import("./index.d.ts").RepeatableOptions} [options]
   * @returns {Promise<Tokens>}
   */
  return (token, options) => {
    const already = underWay.get(token);
    if (already) return already;
    const request = { method: "POST", path: "/2fa/token/refresh/", body: { refresh_token: token } };
    const exchange = repeated(anonymous, connection, request, options, MAY_BE_LOST).finally(() => underWay.delete(token));
    underWay.set(token, exchange);
    return exchange;
  };
}
