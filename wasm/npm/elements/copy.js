// @ts-check
/**
 * Copies a text; where the browser has no clipboard (plain HTTP, or permission refused), selects where it is shown.
 * @param {string} content
 * @param {Element} shown
 * @returns {Promise<boolean>} whether it was copied
 */
export async function copyText(content, shown) {
  try {
    await navigator.clipboard.writeText(content);
    return true;
  } catch {
    getSelection()?.selectAllChildren(shown);
    return false;
  }
}
