// @ts-check
/** An authenticator app for tests: it never gives a code twice, and no test of it flakes at the end of a time step. */

import { preview } from "../index.js";
import { keyOf } from "./source.js";

export { developmentServer } from "./development.js";

/** @typedef {import("./index.d.ts").VirtualAuthenticator} VirtualAuthenticator */

/** A code that ends sooner is not given: a slow test would type it too late. */
const MARGIN_MS = 1_000;

/** @type {typeof import("./index.d.ts").virtualAuthenticator} */
export const virtualAuthenticator = async (source, { now = Date.now, sleep = pause, decode, marginMs = MARGIN_MS } = {}) => {
  const key = await keyOf(source, decode);
  const periodMs = key.period * 1000;
  if (marginMs < 0 || marginMs >= periodMs) throw new RangeError("`marginMs` must be less than the period");
  const stepOf = (/** @type {number} */ ms) => Math.floor(ms / periodMs);
  const codeOf = (/** @type {number} */ step) => preview(key, step * periodMs).code;
  let usedStep = -1;
  /** Callers at the same time get different codes: each begins where the one before has ended. @type {Promise<unknown>} */
  let queue = Promise.resolve();

  /** The current step, once it is an unused one with time left. A timer may fire early, so the clock has the last word. */
  const freshStep = async () => {
    for (;;) {
      const at = await now();
      const step = stepOf(at);
      const remaining = (step + 1) * periodMs - at;
      if (step > usedStep && remaining > marginMs) return step;
      await sleep(step >= usedStep ? remaining : (usedStep + 1) * periodMs - at);
    }
  };

  /** @param {number} count of consecutive codes */
  const take = (count) => {
    const taken = queue.then(async () => {
      const step = await freshStep();
      usedStep = step + count - 1;
      return Array.from({ length: count }, (_, index) => codeOf(step + index));
    });
    queue = taken.catch(() => {});
    return taken;
  };

  return {
    ...key,
    code: async () => String((await take(1))[0]),
    codePair: async () => {
      const [code = "", next_code = ""] = await take(2);
      return { code, next_code };
    },
    codeAt: (ms) => codeOf(stepOf(ms)),
    remainingMs: async () => {
      const at = await now();
      return (stepOf(at) + 1) * periodMs - at;
    },
  };
};

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => void setTimeout(resolve, ms));
