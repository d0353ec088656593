// A browser without scripts: it keeps the cookies of each origin, follows redirects, and posts the forms of the page that it shows.

const MOST_REDIRECTS = 10;

export class Visitor {
  /** Where it is. */ url = "";
  /** The page that it shows. */ html = "";
  status = 0;
  /** @type {Map<string, Map<string, string>>} */ #cookies = new Map();

  /** Opens an address, relative to where it is. @param {string} url */
  async open(url) {
    await this.#go(new URL(url, this.url || undefined), {});
  }

  /** Posts the form that has a field of this name. @param {string} field @param {Record<string, string>} values */
  async submit(field, values) {
    const forms = this.html.match(/<form[\s\S]*?<\/form>/g) ?? [];
    const form = forms.find((text) => text.includes(`name="${field}"`));
    if (!form) throw new Error(`no form with \`${field}\` at ${this.url}: ${this.html}`);
    const body = new URLSearchParams({ ...hidden(form), ...values });
    const action = unescaped(/<form[^>]*\saction="([^"]*)"/.exec(form)?.[1] ?? this.url);
    await this.#go(new URL(action, this.url), { method: "POST", body, headers: { origin: new URL(this.url).origin } });
  }

  /** The value of a hidden field of the page. @param {string} name */
  hidden(name) {
    const value = hidden(this.html)[name];
    if (value === undefined) throw new Error(`no \`${name}\` at ${this.url}: ${this.html}`);
    return value;
  }

  /** @param {URL} url @param {RequestInit} request */
  async #go(url, request) {
    for (let step = 0; step < MOST_REDIRECTS; step += 1) {
      const answer = await fetch(url, { ...request, redirect: "manual", headers: { ...request.headers, cookie: this.#line(url) } });
      this.#keep(url, answer);
      const text = await answer.text();
      const location = answer.headers.get("location");
      if (!location) {
        [this.url, this.html, this.status] = [url.href, text, answer.status];
        return;
      }
      [url, request] = [new URL(location, url), {}];
    }
    throw new Error(`led in circles, at last to ${url.origin}${url.pathname}`);
  }

  /** @param {URL} url */
  #line(url) {
    return [...(this.#cookies.get(url.origin) ?? [])].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  /** @param {URL} url @param {Response} answer */
  #keep(url, answer) {
    const kept = this.#cookies.get(url.origin) ?? new Map();
    this.#cookies.set(url.origin, kept);
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (/max-age=0/i.test(line)) kept.delete(name);
      else kept.set(name, value);
    }
  }
}

/** The hidden fields of a piece of HTML. @param {string} html */
function hidden(html) {
  const inputs = html.match(/<input[^>]*type="hidden"[^>]*>/g) ?? [];
  return Object.fromEntries(inputs.map((input) => [attribute(input, "name"), attribute(input, "value")]));
}

/** @param {string} tag @param {string} name */
function attribute(tag, name) {
  return unescaped(new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1] ?? "");
}

/** @param {string} text */
function unescaped(text) {
  /** @type {Record<string, string>} */
  const named = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
  return text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (whole, decimal, hex, name) =>
    decimal || hex ? String.fromCodePoint(decimal ? Number(decimal) : Number.parseInt(hex, 16)) : (named[name] ?? whole),
  );
}
