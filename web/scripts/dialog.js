// @ts-check
/** A question over the page. The browser keeps the focus inside, closes on Escape and gives the focus back. */

import { freshId, h } from "./dom.js";

/**
 * @param {string} title
 * @param {string} lead
 * @param {(close: () => void) => import("./dom.js").Child[]} content
 */
export function openDialog(title, lead, content) {
  const id = freshId("dialog");
  const leadId = `${id}-lead`;
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": id, "aria-describedby": leadId });
  const close = () => dialog.close();
  dialog.addEventListener("close", () => {
    // The page's status line may have moved in here to be heard.
    const status = dialog.querySelector("#status");
    if (status) document.body.append(status);
    dialog.remove();
  });
  dialog.append(h("h2", { id }, title), h("p", { id: leadId }, lead), h("div", { class: "dialog-body" }, ...content(close)));
  document.body.append(dialog);
  dialog.showModal();
}
