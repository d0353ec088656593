// @ts-check
/**
 * The server's time, learnt from the `Date` header of its answers.
 *
 * A header has whole seconds, so each answer only says that the difference to this device's clock lies in an interval:
 * at least `date - received`, at most `date + 1 s - sent`. Several answers narrow it. An interval that no longer fits
 * means that one of the clocks was set, and then the newest one counts alone.
 */
export class ServerClock {
  /** @type {{ low: number, high: number } | null} */ #bounds = null;

  /**
   * @param {string | null} date the header `Date` of an answer (RFC 9110), which other origins see only if the server exposes it
   * @param {number} sent this device's clock when the request left, in ms
   * @param {number} received the same when the head of the answer came
   */
  learn(date, sent, received) {
    const told = Date.parse(date ?? "");
    if (!Number.isNaN(told)) this.#narrow(told - received, told + 1000 - sent);
  }

  /**
   * @param {number} serverMs the server's time, in ms, when it wrote the page
   * @param {number} received this device's clock when the page came
   */
  learnFromPage(serverMs, received) {
    this.#narrow(serverMs - received, serverMs + 1000 - received);
  }

  /** @param {number} low @param {number} high */
  #narrow(low, high) {
    const known = this.#bounds;
    const fits = known !== null && low <= known.high && high >= known.low;
    this.#bounds = fits ? { low: Math.max(low, known.low), high: Math.min(high, known.high) } : { low, high };
  }

  /** What to add to this device's clock to get the server's, in ms; null while nothing is known. */
  get offsetMs() {
    return this.#bounds && (this.#bounds.low + this.#bounds.high) / 2;
  }

  /** Milliseconds since 1970 by the server's clock as far as it is known, else by this device's. */
  now() {
    return Date.now() + (this.offsetMs ?? 0);
  }
}
