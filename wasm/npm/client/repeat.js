// @ts-check
/**
 * Requests that are repeated while no answer comes. The server answers the same request twice without doing it twice, if both
 * carry the same `Idempotency-Key` and the second one comes within 10 s.
 */

import { SidekeyError } from "./error.js";

/** How long one attempt may take: three of them end before the server forgets the key. */
const ATTEMPT_MS = 2_500;
const PAUSES_MS = [250, 1_000];
/** A repetition later than this might reach the server after its 10 s. */
const LAST_START_MS = 6_500;

/**
 * @param {(connection: import("./request.js").Connection, sent: import("./request.js").Sent, options: any) => Promise<any>} send
 * @param {import("./request.js").Connection} connection
 * @param {import("./request.js").Sent} request
 * @param {import("./index.d.ts").RepeatableOptions | undefined} options
 * @param {number} [mayBeLost] after so many requests of which nobody knows whether they arrived, there is no further one
 * @returns {Promise<any>}
 */
export async function repeated(send, connection, request, options, mayBeLost = Infinity) {
  const sent = {
    ...request,
    headers: { ...request.headers, "Idempotency-Key": options?.idempotencyKey ?? randomKey() },
    timeoutMs: Math.min(ATTEMPT_MS, connection.timeoutMs),
  };
  const started = performance.now();
  let lost = 0;
  for (const pause of PAUSES_MS) {
    try {
      return await send(connection, sent, options);
    } catch (error) {
      const mayHelp = error instanceof SidekeyError && (error.code === "NETWORK" || error.code === "UNAVAILABLE");
      if (mayHelp && error.code === "NETWORK") lost += 1;
      if (!mayHelp || lost >= mayBeLost || performance.now() - started + pause > LAST_START_MS) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  return send(connection, sent, options);
}

/** `crypto.randomUUID` is missing on plain HTTP, this is not. */
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
