// @ts-check
/** Copying, with a way out where the browser has no clipboard (plain HTTP, or permission refused). */

/**
 * Lets a button copy what its `data-copy` says, one word a line with `data-lines`. Where that is not possible, what is shown on the page is
 * selected. Either is announced.
 * @param {HTMLElement} button
 */
export function onCopy(button) {
  const { copy = "", lines, shown = "", done = "", select = "" } = button.dataset;
  const text = lines === undefined ? copy : copy.replaceAll(" ", "\n");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      announce(done);
    } catch {
      const element = document.getElementById(shown);
      if (element) getSelection()?.selectAllChildren(element);
      announce(select);
    }
  });
}

/** Says something to whoever does not see the page. @param {string} sentence */
function announce(sentence) {
  document.getElementById("status")?.replaceChildren(sentence);
}
