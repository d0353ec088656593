// @ts-check
/**
 * Adds to the live page what happens while it is open, as server-sent events. Without this script the page is reloaded by hand.
 */

/** Most entries that the page keeps. */
const KEPT = 200;

/**
 * @typedef {object} Entry
 * @property {number} sequence
 * @property {string} at
 * @property {string=} app
 * @property {string=} user
 * @property {{ kind: string, name?: string }} actor
 * @property {string | null} ip_address
 * @property {string | null} user_agent
 * @property {string=} reason
 * @property {string} request_id
 * @property {Record<string, unknown> & { type: string }} event
 */

const standing = document.querySelector("[data-stream]");
const entries = document.querySelector("ol.entries");
if (standing instanceof HTMLElement && entries) follow(standing, entries);

/**
 * @param {HTMLElement} status
 * @param {Element} list
 */
function follow(status, list) {
  const stream = new EventSource(status.dataset["stream"] ?? "");
  const say = (/** @type {string} */ text) => {
    // What has not changed is not read out again.
    if (status.textContent !== text) status.textContent = text;
  };
  stream.addEventListener("open", () => say("Live: what happens appears here."));
  stream.addEventListener("error", () => {
    say(stream.readyState === EventSource.CLOSED ? "Not live: reload the page to try again." : "Connecting again…");
  });
  stream.addEventListener("over", () => {
    stream.close();
    say("You have been signed out: reload the page to sign in.");
  });
  stream.addEventListener("missed", (event) => {
    const { from, to } = JSON.parse(event.data);
    list.prepend(item(text("p", `Entries ${from} to ${to} are not shown: too much has happened at once.`)));
  });
  stream.addEventListener("entry", (event) => {
    list.prepend(shown(JSON.parse(event.data)));
    while (list.children.length > KEPT) list.lastElementChild?.remove();
  });
}

/**
 * An entry as the server's pages show it.
 * @param {Entry} entry
 */
function shown({ sequence, at, app, user, actor, ip_address, user_agent, reason, request_id, event }) {
  const head = text("p", "", "entry-head");
  const time = text("time", at);
  time.setAttribute("datetime", at);
  const whom = app ? (user ? `${app}/${user}` : app) : "server";
  head.append(time, " ", text("strong", event.type, "event"), " ", text("bdi", whom));

  const kind = actor.kind.replaceAll("_", " ");
  const rest = text("p", `Entry ${sequence}, by `, "hint");
  rest.append(text("bdi", actor.name ? `${kind} ${actor.name}` : kind));
  const from = [ip_address, user_agent].filter(Boolean).join(" · ");
  if (from) rest.append(", from ", text("bdi", from));
  const details = Object.entries(event).filter(([name, value]) => name !== "type" && value !== null);
  const told = details.map(([name, value]) => {
    return `${name.replaceAll("_", " ")} ${typeof value === "string" ? value : JSON.stringify(value)}`;
  });
  if (told.length > 0) rest.append(`; ${told.join(", ")}`);
  if (request_id) rest.append("; request ", text("code", request_id));

  const entry = item(head, rest);
  if (reason) {
    const why = text("p", "Reason: ", "why");
    why.append(text("bdi", reason));
    entry.append(why);
  }
  return entry;
}

/** @param {Node[]} parts */
function item(...parts) {
  const element = text("li", "", "entry");
  element.append(...parts);
  return element;
}

/**
 * @param {string} name
 * @param {string} content
 * @param {string=} className
 */
function text(name, content, className) {
  const element = document.createElement(name);
  element.textContent = content;
  if (className) element.className = className;
  return element;
}
