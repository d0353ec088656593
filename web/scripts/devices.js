// @ts-check
/** The list of devices on the account page, and what can be done to each. */

import { changeDevice, removeDevice } from "./api.js";
import { codeForm } from "./code-form.js";
import { openDialog } from "./dialog.js";
import { fill, h, icon } from "./dom.js";
import { field } from "./field.js";
import { ago, date } from "./format.js";
import { sentence, text } from "./messages.js";
import { pageAddress } from "./place.js";
import { asSidekeyError, button, linkButton } from "./view.js";

/** @typedef {import("./api.js").Device} Device */

/**
 * What the section needs of its page.
 * @typedef {object} Page
 * @property {<T>(call: (token: string) => Promise<T>) => Promise<T>} act calls with a token, stepping up where needed
 * @property {(done?: string) => void} changed shows the page anew
 * @property {(error: unknown) => boolean} isOver deals with the end of the sign-in
 */

/** @param {Device[]} devices @param {Page} page */
export function deviceSection(devices, page) {
  const active = devices.filter((device) => device.status === "active").length;
  return h(
    "section",
    { class: "card", "aria-labelledby": "devices" },
    h("div", { class: "section-head" }, h("h2", { id: "devices" }, text("devices.title")), linkButton(text("devices.add"), pageAddress("enroll"))),
    h("ul", { class: "devices" }, ...devices.map((device) => row(device, device.status === "active" && active === 1, page))),
  );
}

/** @param {Device} device */
const nameOf = (device) => device.name || text("devices.unnamed");

/** @param {Device} device @param {boolean} isLast @param {Page} page */
function row(device, isLast, page) {
  const item = h("li", { class: "device" });
  const error = h("p", { class: "error", role: "alert" });
  const renameButton = action("devices.rename", "devices.rename-label", device, () => rename());
  const showDevice = () =>
    fill(
      item,
      icon("phone"),
      h("div", { class: "about" }, h("h3", {}, h("bdi", {}, nameOf(device))), device.is_primary && h("span", { class: "chip" }, text("devices.primary")), h("p", { class: "hint" }, history(device))),
      h(
        "div",
        { class: "actions" },
        device.status === "pending" && finishLink(device),
        device.status === "active" && renameButton,
        device.status === "active" && !device.is_primary && action("devices.make-primary", "devices.make-primary-label", device, makePrimary),
        action("devices.remove", "devices.remove-label", device, () => askToRemove(device, isLast, page)),
      ),
      error,
    );
  const makePrimary = () => change({ is_primary: true }, text("devices.made-primary", { name: nameOf(device) }), (said) => fill(error, said));
  const rename = () => {
    const form = renameForm(device, (name, fail) => change({ name }, text("devices.renamed", { name }), fail), back);
    fill(item, icon("phone"), form.element);
    form.input.focus();
    form.input.select();
  };
  const back = () => {
    showDevice();
    renameButton.focus();
  };
  /** @param {{ name?: string, is_primary?: true }} wish @param {string} done @param {(said: string) => void} fail */
  const change = async (wish, done, fail) => {
    try {
      await page.act((token) => changeDevice(token, device.id, wish));
      page.changed(done);
    } catch (thrown) {
      if (!page.isOver(thrown)) fail(sentence(asSidekeyError(thrown)));
    }
  };
  showDevice();
  return item;
}

/** @param {Device} device */
function history(device) {
  if (device.status === "pending") return text("devices.pending");
  const used = device.last_used_at ? text("devices.used", { ago: ago(device.last_used_at) }) : text("devices.never-used");
  return `${text("devices.added", { date: date(device.confirmed_at ?? device.created_at) })} · ${used}`;
}

/** @param {Device} device */
function finishLink(device) {
  const label = text("devices.finish-label", { name: nameOf(device) });
  return h("a", { class: "button small", href: pageAddress("enroll"), "aria-label": label }, text("devices.finish"));
}

/**
 * A small button whose full name says which device it is about.
 * @param {import("./messages.js").MessageKey} label
 * @param {import("./messages.js").MessageKey} fullName begins with the label
 * @param {Device} device
 * @param {() => void} click
 */
function action(label, fullName, device, click) {
  return h("button", { type: "button", class: "button small", "aria-label": text(fullName, { name: nameOf(device) }), click }, text(label));
}

/**
 * @param {Device} device
 * @param {(name: string, fail: (said: string) => void) => void} save
 * @param {() => void} cancel
 */
function renameForm(device, save, cancel) {
  const name = field({ label: text("devices.name"), attributes: { value: device.name, autocomplete: "off", maxlength: 100, dir: "auto" } });
  const element = h(
    "form",
    {
      class: "rename",
      novalidate: true,
      submit: (/** @type {Event} */ event) => {
        event.preventDefault();
        name.clear();
        const wanted = name.input.value.trim();
        if (wanted) save(wanted, name.fail);
        else name.fail(text("devices.name-empty"));
      },
      keydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.key === "Escape") cancel();
      },
    },
    name.element,
    h("div", { class: "actions" }, h("button", { class: "button small primary" }, text("save")), button(text("cancel"), cancel, "small")),
  );
  return { element, input: name.input };
}

/** The last active device needs a code, so that a borrowed browser cannot turn the protection off. @param {Device} device @param {boolean} isLast @param {Page} page */
function askToRemove(device, isLast, page) {
  const title = text("devices.remove-title", { name: nameOf(device) });
  const done = text("devices.removed", { name: nameOf(device) });
  const lead = device.status === "pending" ? "devices.remove-pending-lead" : isLast ? "devices.remove-last-lead" : "devices.remove-lead";
  openDialog(title, text(lead), (close) => {
    /** @param {import("./api.js").CodeAnswer | {}} answer */
    const remove = async (answer) => {
      await page.act((token) => removeDevice(token, device.id, answer));
      close();
      page.changed(done);
    };
    const cancel = button(text("cancel"), close);
    cancel.autofocus = !isLast;
    if (isLast) return [codeQuestion(remove, close, cancel, page)];
    const error = h("p", { class: "error", role: "alert" });
    const body = h("div");
    const confirm = async () => {
      try {
        await remove({});
      } catch (thrown) {
        const refused = asSidekeyError(thrown);
        if (page.isOver(refused)) return close();
        if (refused.code !== "CODE_REQUIRED") return fill(error, sentence(refused));
        // Another tab has removed the others meanwhile: this one has become the last.
        fill(body, h("p", {}, sentence(refused)), codeQuestion(remove, close, cancel, page));
        body.querySelector("input")?.focus();
      }
    };
    fill(body, error, h("div", { class: "actions" }, button(text("devices.remove"), confirm, "danger"), cancel));
    return [body];
  });
}

/**
 * @param {(answer: import("./api.js").CodeAnswer) => Promise<void>} remove
 * @param {() => void} close
 * @param {HTMLElement} cancel
 * @param {Page} page
 */
function codeQuestion(remove, close, cancel, page) {
  return codeForm({
    kind: "totp",
    submit: text("devices.remove"),
    look: "danger",
    answer: remove,
    refused: (error) => {
      const over = page.isOver(error);
      if (over) close();
      return over;
    },
    actions: [cancel],
  }).element;
}
