import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { failure, sidekey } from "./module.mjs";

const config = { secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" };
/** @type {number[]} */
let counters = [];
const note = (/** @type {{ counter: number }} */ { counter }) => void counters.push(counter);

beforeEach(() => {
  counters = [];
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 59_000 });
});
afterEach(() => mock.timers.reset());

test("it tells at once, and then at each boundary exactly", () => {
  const stop = sidekey.watchCode(config, note);
  assert.deepEqual(counters, [1]);
  mock.timers.tick(999);
  assert.deepEqual(counters, [1]);
  mock.timers.tick(1);
  assert.deepEqual(counters, [1, 2]);
  for (let second = 0; second < 60; second += 1) mock.timers.tick(1_000);
  assert.deepEqual(counters, [1, 2, 3, 4]);
  stop();
  mock.timers.tick(60_000);
  assert.deepEqual(counters, [1, 2, 3, 4]);
});

test("the server's time counts where it is known", () => {
  const stop = sidekey.watchCode(config, note, { serverNowMs: 119_500 });
  mock.timers.tick(499);
  assert.deepEqual(counters, [3]);
  mock.timers.tick(1);
  assert.deepEqual(counters, [3, 4]);
  stop();
});

test("after a sleep the next look shows the code of now", () => {
  const stop = sidekey.watchCode({ ...config, period: 120 }, note);
  // Asleep: the clock goes on and timers do not.
  mock.timers.setTime(10_000_000);
  mock.timers.tick(1_000);
  assert.deepEqual(counters, [0, Math.floor(10_001_000 / 120_000)]);
  stop();
});

test("a signal stops it, also before it begins", () => {
  const controller = new AbortController();
  sidekey.watchCode(config, note, { signal: controller.signal });
  controller.abort();
  sidekey.watchCode(config, note, { signal: controller.signal });
  mock.timers.tick(120_000);
  assert.deepEqual(counters, [1]);
});

test("a wrong configuration is told at once", () => {
  assert.throws(() => sidekey.watchCode({ secret: "1" }, note), failure("SECRET_NOT_BASE32", "secret"));
  assert.throws(() => sidekey.watchCode(config, /** @type {any} */ (undefined)), failure("INVALID_ARGUMENT", "onChange"));
  assert.throws(() => sidekey.watchCode(/** @type {any} */ (null), note), failure("INVALID_ARGUMENT", "config"));
});
