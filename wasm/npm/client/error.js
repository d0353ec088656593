// @ts-check
/** What the server, or the way to it, refused. Programs branch on `code`; `message` is English and for logs. */
export class SidekeyError extends Error {
  /**
   * @param {string} code a code of the HTTP API, or `NETWORK` where no answer came
   * @param {object} [more]
   * @param {string} [more.message] holds nothing that was sent: the server never repeats it
   * @param {number} [more.status]
   * @param {Record<string, unknown>} [more.problem] the whole problem document (RFC 9457)
   * @param {number | null} [more.retryAfter] seconds
   * @param {string | null} [more.requestId]
   * @param {unknown} [more.cause]
   */
  constructor(code, { message = code, status = 0, problem = {}, retryAfter = null, requestId = null, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "SidekeyError";
    this.code = code;
    this.status = status;
    this.problem = problem;
    this.retryAfter = retryAfter;
    this.requestId = requestId;
  }

  /** A sentence for each field that is malformed. @returns {Record<string, string>} */
  get errors() {
    const errors = this.problem["errors"];
    return errors !== null && typeof errors === "object" ? /** @type {Record<string, string>} */ (errors) : {};
  }

  /** Answers that this session still takes, or null where no session is answered. */
  get attemptsRemaining() {
    return numberOrNull(this.problem["attempts_remaining"]);
  }

  /** How old the second factor may be, in seconds, or null where its age is no matter (RFC 9470). */
  get maxAge() {
    return numberOrNull(this.problem["max_age"]);
  }

  /** Where the application wants its users back once the session has ended, or null. */
  get returnUrl() {
    const url = this.problem["return_url"];
    return typeof url === "string" ? url : null;
  }
}

/** @param {unknown} value */
const numberOrNull = (value) => (typeof value === "number" ? value : null);

/**
 * The error that an answer stands for.
 * @param {Response} response
 * @param {Record<string, unknown> | null} problem null where the body is no JSON object
 */
export function refusal(response, problem) {
  const known = problem !== null && typeof problem["code"] === "string";
  const code = known ? String(problem["code"]) : codeOfStatus(response.status);
  const detail = known && typeof problem["detail"] === "string" ? problem["detail"] : `the server answered ${response.status}`;
  return new SidekeyError(code, {
    message: `${detail} (${code})`,
    status: response.status,
    problem: problem ?? {},
    retryAfter: seconds(response.headers.get("retry-after")),
    requestId: response.headers.get("x-request-id"),
  });
}

/** An answer without a problem document comes from something in between, such as a proxy. @param {number} status */
function codeOfStatus(status) {
  if (status === 429) return "RATE_LIMITED";
  if (status === 502 || status === 503 || status === 504) return "UNAVAILABLE";
  return status === 404 ? "NOT_FOUND" : "INTERNAL";
}

/** `Retry-After` as whole seconds, at least 1 (RFC 9110 also allows a date, which Sidekey never sends). @param {string | null} header */
function seconds(header) {
  const value = header === null ? NaN : Number(header);
  return Number.isFinite(value) ? Math.max(1, Math.ceil(value)) : null;
}
