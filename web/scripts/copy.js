// @ts-check
/** Copying, with a way out where the browser has no clipboard (plain HTTP, or permission refused). */

import { text } from "./messages.js";
import { announce } from "./view.js";

/**
 * Copies and says so; else selects what is shown, so that the person can copy it.
 * @param {string} content
 * @param {HTMLElement} shown where the same text stands on the page
 * @param {string} done the sentence to say
 * @returns {Promise<boolean>} whether it was copied
 */
export async function copyText(content, shown, done) {
  try {
    await navigator.clipboard.writeText(content);
    announce(done);
    return true;
  } catch {
    getSelection()?.selectAllChildren(shown);
    announce(text("copy.select"));
    return false;
  }
}
