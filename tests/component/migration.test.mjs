import assert from "node:assert/strict";
import { test } from "node:test";

import { KEY_URI_ERRORS, component, failure, named, params, vectors } from "./component.mjs";

const { parse } = component.migration;

/** What the vectors call an error of a whole export. */
const ERRORS = {
  MIGRATION_DATA: "data",
  MIGRATION_PAYLOAD: "payload",
  MIGRATION_SCHEME: "scheme",
  MIGRATION_TOO_LONG: "too-long",
};

/** What they call the refusal of an account, where that is not an error of one of its parts. */
const REFUSALS = {
  ALGORITHM_UNKNOWN: { tag: "algorithm" },
  DIGITS_UNKNOWN: { tag: "digits" },
  HOTP_UNSUPPORTED: { tag: "hotp" },
  TYPE_UNKNOWN: { tag: "kind" },
};

/** @param {string} error */
const refusal = (error) =>
  error in REFUSALS ? named(REFUSALS, error) : { tag: "part", val: named(KEY_URI_ERRORS, error) };

test("exports are accepted or refused as their names say", async () => {
  const { vectors: all } = await vectors("migration");
  assert.ok(all.length > 10);
  for (const { name, uri, error, version, batch, entries } of all) {
    if (name.startsWith("refuse_")) {
      assert.throws(() => parse(uri), failure(named(ERRORS, error)), name);
      continue;
    }
    assert.ok(name.startsWith("accept_"), `${name} has no verdict`);
    const migration = parse(uri);
    assert.deepEqual([migration.version, migration.batch], [version, batch], name);
    assert.equal(migration.entries.length, entries.length, name);
    entries.forEach((/** @type {any} */ expected, /** @type {number} */ index) => {
      const { outcome, ...as } = migration.entries[index];
      if (expected.error) {
        assert.deepEqual(outcome, { tag: "err", val: refusal(expected.error) }, name);
        assert.deepEqual(as, { issuer: expected.issuer, name: expected.name }, name);
      } else {
        const { secret, issuer, account, ...rest } = expected;
        const parts = { secret, issuer: issuer ?? undefined, account, ...params(rest) };
        assert.deepEqual(outcome, { tag: "ok", val: parts }, name);
      }
    });
  }
});
