// axe-core's judgement of a page.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** The rules of WCAG 2.0 to 2.2, levels A and AA. */
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/**
 * The page breaks none of the rules, shadow trees included. The source is evaluated, because the pages' policy lets no script in.
 * @param {import("playwright-core").Page} page
 * @param {string} [about] what to say in a failure
 */
export async function assertAccessible(page, about = "") {
  await page.evaluate(axe);
  const violations = await page.evaluate(async (tags) => {
    const { axe } = /** @type {{ axe: typeof import("axe-core") }} */ (/** @type {unknown} */ (globalThis));
    const { violations, passes } = await axe.run(document, { runOnly: { type: "tag", values: tags } });
    if (passes.length === 0) throw new Error("no rule was applied at all");
    return violations.map(({ id, help, nodes }) => `${id}: ${help}\n${nodes.map((node) => `  ${node.html}\n  ${node.failureSummary}`).join("\n")}`);
  }, TAGS);
  assert.deepEqual(violations, [], about);
}
