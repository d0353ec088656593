// @ts-check
/**
 * The server's time, learnt from the `Date` header of its answers.
 *
 * A header has whole seconds, so each answer only says that the difference to this device's clock lies in an interval:
 * at least `date - received`, at most `date + 1 s - sent`. Several answers narrow it. An interval that no longer fits
 * means that one of the clocks was set, and then the newest one counts alone.
 */

/** @type {{ low: number, high: number } | null} */
let bounds = null;

/**
 * @param {Response} response
 * @param {number} sent this device's clock when the request left, in ms
 * @param {number} received the same when the head of the answer came
 */
export function learnFrom(response, sent, received) {
  const date = Date.parse(response.headers.get("date") ?? "");
  if (Number.isNaN(date)) return;
  const low = date - received;
  const high = date + 1000 - sent;
  const fits = bounds && low <= bounds.high && high >= bounds.low;
  bounds = bounds && fits ? { low: Math.max(low, bounds.low), high: Math.min(high, bounds.high) } : { low, high };
}

/** How far the server's clock is ahead of this device's, in milliseconds, as far as it is known. */
export function offset() {
  return bounds ? (bounds.low + bounds.high) / 2 : 0;
}

/** Milliseconds since 1970 by the server's clock. */
export function serverNow() {
  return Date.now() + offset();
}
