import assert from "node:assert/strict";
import { test } from "node:test";

import { component, failure, params, vectors } from "./component.mjs";

const { warnings } = component.compat;

test("what apps do otherwise is warned of", async () => {
  const { vectors: all } = await vectors("compat");
  assert.ok(all.length > 10);
  for (const { name, config, scheme, codes } of all) {
    const found = warnings({ secret: "", ...config, ...params(config) }, scheme);
    const kinds = codes.map((/** @type {string} */ code) => code.toLowerCase().replaceAll("_", "-"));
    assert.deepEqual(found.map((/** @type {{ kind: string }} */ warning) => warning.kind), kinds, name);
    for (const { field, message } of found) {
      assert.match(field, /^(algorithm|digits|period|issuer|account)$/);
      assert.match(message, /^[a-z].*[^.]$/);
    }
  }
});

test("a warning names the part and the apps", () => {
  const [warning, ...rest] = warnings({ secret: "", issuer: "Acme", period: 60 }, undefined);
  assert.deepEqual(rest, []);
  assert.deepEqual([warning.kind, warning.field], ["period-ignored", "period"]);
  assert.deepEqual(warning.apps, ["Microsoft Authenticator", "Google Authenticator"]);
});

test("what is wrong everywhere is an error", () => {
  assert.throws(() => warnings({ secret: "", digits: 9 }, undefined), failure({ tag: "digits" }));
  assert.throws(() => warnings({ secret: "", issuer: "a:b" }, undefined), failure({ tag: "issuer" }));
});
