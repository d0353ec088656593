import assert from "node:assert/strict";
import { test } from "node:test";

import { failure, sidekey, vectors } from "./module.mjs";

test("exports are accepted or refused as their names say", () => {
  for (const { name, uri, error, version, batch, entries } of vectors("migration").vectors) {
    if (error) {
      assert.throws(() => sidekey.parseMigration(uri), failure(error), name);
      continue;
    }
    const migration = sidekey.parseMigration(uri);
    assert.deepEqual([migration.version, migration.batch], [version, batch], name);
    assert.equal(migration.entries.length, entries.length, name);
    for (const [place, entry] of migration.entries.entries()) {
      const { error: refusal, ...expected } = entries[place];
      if (entry.ok) {
        assert.deepEqual(entry.config, { ...expected, issuer: expected.issuer ?? "" }, name);
        assert.match(sidekey.preview(entry.config).code, /^\d{6}(\d\d)?$/);
      } else {
        const { code, issuer, name: account, message } = entry;
        assert.deepEqual({ code, issuer, name: account }, { code: refusal, ...expected }, name);
        assert.match(message, /^[a-z`].*[^.]$/);
      }
    }
  }
});
