// An Express application with users and a login of its own, and Sidekey beside it.

import { randomBytes, scryptSync, timingSafeEqual } from "node:crypto";
import { env } from "node:process";

import express from "express";
import session from "express-session";

import { sidekey } from "./sidekey.js";

const port = Number(env.PORT ?? 3000);
const publicUrl = env.PUBLIC_URL ?? `http://127.0.0.1:${port}`;
const { secondFactor, returned, require2fa } = sidekey({
  url: env.SIDEKEY_URL ?? "http://127.0.0.1:8080",
  app: env.SIDEKEY_APP ?? "express",
  apiKey: env.SIDEKEY_API_KEY ?? "",
  returnUrl: `${publicUrl}/returned`,
});

// The application's own users: one, whose password is "correct horse".
const salt = randomBytes(16);
const users = new Map([["ann", { id: "1", name: "ann", hash: scryptSync("correct horse", salt, 32) }]]);

/** @param {string} name @param {string} password */
function checked(name, password) {
  const user = users.get(name);
  const hash = scryptSync(password, salt, 32);
  return user && timingSafeEqual(user.hash, hash) ? { id: user.id, name: user.name } : null;
}

const app = express();
app.use(express.urlencoded({ extended: false }));
app.use(session({ secret: env.SESSION_SECRET ?? randomBytes(32).toString("hex"), resave: false, saveUninitialized: false, cookie: { httpOnly: true, sameSite: "lax" } }));

app.get("/login", (_request, response) => {
  response.send(`<!doctype html><html lang="en"><title>Sign in</title><h1>Sign in</h1>
<form method="post"><label>Name <input name="name"></label> <label>Password <input name="password" type="password"></label> <button>Sign in</button></form>`);
});
app.post("/login", (request, response) => {
  const user = checked(String(request.body.name), String(request.body.password));
  return user ? secondFactor(request, response, user) : response.status(401).send("Name or password is wrong.");
});
app.get("/returned", returned);
app.get("/", require2fa(), (request, response) => response.send(`Hello ${request.session.user.name}, with a second factor.`));
app.get("/terminal", require2fa(3600), (request, response) => response.send(`Terminal of ${request.session.user.name}.`));
app.use((error, _request, response, _next) => response.status(error.status ?? 502).send(error.message));

app.listen(port, "127.0.0.1", () => console.log(`listening on ${publicUrl}`));
