// Sidekey beside an Express application's own login.

import { createRemoteJWKSet, jwtVerify } from "jose";

/**
 * @param {{ url: string, app: string, apiKey: string, returnUrl: string }} settings
 */
export function sidekey({ url, app, apiKey, returnUrl }) {
  const keys = createRemoteJWKSet(new URL(`${url}/.well-known/jwks.json`));

  /** @param {string} path @param {object} body @param {string} [credential] */
  const post = async (path, body, credential = apiKey) => {
    const request = fetch(url + path, {
      method: "POST",
      headers: { authorization: `Bearer ${credential}`, "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(5_000),
    });
    const answer = await request.catch(() => null);
    // Nobody is let in while Sidekey cannot be asked. The application's error handler shows the message with the status.
    if (!answer || answer.status >= 500) throw Object.assign(new Error("Nobody can sign in at the moment. Try again in a minute."), { status: 503 });
    const json = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(json.detail), { status: answer.status, code: json.code });
    return json;
  };

  /** Ends the sign-in: the token says whose second factor it was, and when. */
  const signIn = async (request, response, user, token, next) => {
    const { payload } = await jwtVerify(token, keys, { issuer: url, audience: app, typ: "at+jwt" });
    if (payload.sub !== user.id) return response.status(400).send("This second factor was somebody else's.");
    request.session.regenerate((error) => {
      if (error) return response.status(500).send("The session cannot be kept.");
      Object.assign(request.session, { user, verifiedAt: payload.auth_time });
      response.redirect(next);
    });
  };

  /**
   * Asks for the second factor of a user whose password was right. Who has no device yet is let in without one where Sidekey's
   * enforcement allows it; where a route demands one all the same, they are led to Sidekey's account page, on which they set one up.
   */
  const secondFactor = async (request, response, user, next = "/", demanded = false) => {
    const opened = await post("/2fa/sessions/", {
      user_id: user.id,
      account_name: user.name,
      ip_address: request.ip,
      user_agent: request.get("user-agent"),
      return_url: returnUrl,
    });
    if (!opened.requires_2fa && demanded) return response.redirect((await post("/2fa/account/link/", {}, opened.access_token)).account_url);
    if (!opened.requires_2fa) return signIn(request, response, user, opened.access_token, next);
    // Only the browser that gave the password may come back for the login.
    request.session.pending = { user, next };
    response.redirect(opened.verify_url ?? opened.enroll_url);
  };

  /** The handler behind `returnUrl`: turns the one-time code into a login. */
  const returned = async (request, response) => {
    const { pending } = request.session;
    delete request.session.pending;
    if (!pending || typeof request.query.code !== "string") return response.redirect("/login");
    const verified = await post("/2fa/token/", { code: request.query.code });
    await signIn(request, response, pending.user, verified.access_token, pending.next);
  };

  /** Lets a request through whose second factor is at most `maxAge` seconds old; others are asked for it. */
  const require2fa = (maxAge = Infinity) => (request, response, next) => {
    const { user, verifiedAt } = request.session;
    if (!user) return response.redirect("/login");
    if (verifiedAt && Date.now() / 1000 - verifiedAt <= maxAge) return next();
    return secondFactor(request, response, user, request.originalUrl, true);
  };

  return { secondFactor, returned, require2fa };
}
