// @ts-check
/** Codes as they change. */

import { optionalNumber } from "./arguments.js";
import { wrongArgument } from "./error.js";

/** @typedef {import("./index.js").Preview} Preview */

/**
 * Timers stand still while a computer sleeps and know nothing of a clock that is set. So the time is looked at again at least
 * this often: no code is shown for longer than this after it has expired.
 */
const LONGEST_TIMER_MS = 1_000;
/** What tells that a page is seen again; each is a reason to look at the time at once. */
const RETURNS = ["visibilitychange", "pageshow", "focus"];

/**
 * Calls `onChange` now and at each boundary of a time step, until it is stopped.
 *
 * @param {(atMs: number) => Preview} preview
 * @param {(preview: Preview) => void} onChange
 * @param {{ serverNowMs?: number, signal?: AbortSignal }} [options]
 * @returns {() => void} stops it
 */
export function watch(preview, onChange, { serverNowMs, signal } = {}) {
  if (typeof onChange !== "function") throw wrongArgument("onChange", "a function");
  const ahead = (optionalNumber(serverNowMs, "serverNowMs") ?? Date.now()) - Date.now();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {number | undefined} */
  let shown;
  let stopped = signal?.aborted ?? false;

  const stop = () => {
    stopped = true;
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
    for (const event of RETURNS) globalThis.removeEventListener?.(event, look, true);
  };
  const look = () => {
    clearTimeout(timer);
    if (stopped) return;
    // A clock set to before 1970 by the difference is no time at all.
    const now = preview(Math.max(0, Date.now() + ahead));
    // A timer may fire a moment early; then the boundary is still to come.
    timer = setTimeout(look, Math.min(now.remainingMs, LONGEST_TIMER_MS));
    if (now.counter === shown) return;
    shown = now.counter;
    onChange(now);
  };

  if (!stopped) {
    look();
    signal?.addEventListener("abort", stop);
    for (const event of RETURNS) globalThis.addEventListener?.(event, look, true);
  }
  return stop;
}
