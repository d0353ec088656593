// @ts-check
/** A Sidekey server in development mode: its clock, and users for tests. A server for real accounts has neither. */

/** @type {typeof import("./index.d.ts").developmentServer} */
export const developmentServer = (baseUrl, { apiKey, fetch = globalThis.fetch } = {}) => {
  const base = baseUrl.replace(/\/+$/, "");

  /** @param {string} path @param {object} [body] @returns {Promise<any>} */
  const ask = async (path, body) => {
    const headers = { ...(body && { "Content-Type": "application/json" }), ...(apiKey && { Authorization: `Bearer ${apiKey}` }) };
    const response = await fetch(base + path, body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers });
    const answer = await response.json().catch(() => null);
    if (response.ok) return answer;
    const remedy = response.status === 404 ? ": is it `sidekey serve --development`?" : "";
    throw new Error(`${path} answered ${response.status} ${answer?.code ?? ""} ${answer?.detail ?? ""}${remedy}`);
  };

  const now = async () => Date.parse((await ask("/development/clock/")).now);
  /** @param {number} seconds */
  const advanceClock = async (seconds) => Date.parse((await ask("/development/clock/", { advance_seconds: seconds })).now);

  return {
    now,
    advanceClock,
    clock: { now, sleep: (ms) => advanceClock(Math.ceil(ms / 1000)) },
    seed: async (wanted = {}) => {
      const seeded = await ask("/development/seed/", wanted);
      const byPersona = seeded.users.map((/** @type {any} */ user) => [user.persona ?? user.user_id, user]);
      return { ...seeded, by: Object.fromEntries(byPersona) };
    },
  };
};
