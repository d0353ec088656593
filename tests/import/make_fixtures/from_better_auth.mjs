// Makes the fixtures of better-auth with the package itself: users sign up and turn their second factor on over its API.
//
//   npm install better-auth@1.7.25 && node from_better_auth.mjs ../fixtures
import { writeFileSync } from "node:fs";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { twoFactor } from "better-auth/plugins";
import { base32 } from "@better-auth/utils/base32";
import { createOTP } from "@better-auth/utils/otp";

const folder = process.argv[2];
const SECRET = "a made-up secret of better-auth (1)";
const SECRETS = [
  { version: 2, value: "a made-up secret of better-auth (2)" },
  { version: 1, value: SECRET },
];

async function make(name, options, people, backupCodeOptions) {
  const tables = { user: [], session: [], account: [], verification: [], twoFactor: [], rateLimit: [] };
  const auth = betterAuth({
    baseURL: "http://127.0.0.1:3000",
    database: memoryAdapter(tables),
    emailAndPassword: { enabled: true },
    plugins: [twoFactor({ issuer: "Example", backupCodeOptions })],
    telemetry: { enabled: false },
    ...options,
  });
  const expected = {};
  for (const person of people) {
    const cookies = {};
    const call = async (path, body) => {
      const cookie = Object.entries(cookies).map(([key, value]) => `${key}=${value}`).join("; ");
      const response = await auth.handler(
        new Request(`http://127.0.0.1:3000/api/auth${path}`, {
          method: "POST",
          headers: { "content-type": "application/json", origin: "http://127.0.0.1:3000", cookie },
          body: JSON.stringify(body),
        }),
      );
      for (const line of response.headers.getSetCookie()) {
        const [pair] = line.split(";");
        const at = pair.indexOf("=");
        cookies[pair.slice(0, at)] = pair.slice(at + 1);
      }
      const text = await response.text();
      if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
      return JSON.parse(text);
    };
    const password = "a made-up password";
    const email = `${person}@example.com`;
    await call("/sign-up/email", { email, password, name: person });
    const { totpURI, backupCodes } = await call("/two-factor/enable", { password });
    const key = new URL(totpURI).searchParams.get("secret");
    const raw = new TextDecoder().decode(base32.decode(key));
    const user = tables.user.find((row) => row.email === email);
    expected[person] = { user_id: user.id, secret: key, backup_codes: backupCodes };
    if (person === "bob") continue; // Never confirmed.
    await call("/two-factor/verify-totp", { code: await createOTP(raw).totp() });
    if (person === "ann") {
      await call("/two-factor/verify-backup-code", { code: backupCodes[3] });
      expected[person].used = backupCodes[3];
    }
  }
  writeFileSync(`${folder}/${name}.json`, JSON.stringify(tables.twoFactor, null, 2) + "\n");
  writeFileSync(`${folder}/${name}-expected.json`, JSON.stringify(expected, null, 2) + "\n");
  const columns = Object.keys(tables.twoFactor[0]);
  const quote = (value) => (value === null || value === undefined ? "" : `"${String(value).replaceAll('"', '""')}"`);
  const lines = [columns.join(","), ...tables.twoFactor.map((row) => columns.map((c) => quote(row[c])).join(","))];
  writeFileSync(`${folder}/${name}.csv`, lines.join("\n") + "\n");
}

writeFileSync(`${folder}/better-auth.key`, SECRETS.map(({ version, value }) => `${version}:${value}`).join(",") + "\n");
await make("better-auth", { secret: SECRET }, ["ann", "bob", "cleo"], undefined);
await make("better-auth-versioned", { secret: SECRET, secrets: SECRETS }, ["ann"], undefined);
await make("better-auth-plain", { secret: SECRET }, ["ann"], { storeBackupCodes: "plain" });
await make("better-auth-custom", { secret: SECRET }, ["ann"], {
  storeBackupCodes: { encrypt: async (data) => `own:${btoa(data)}`, decrypt: async (data) => atob(data.slice(4)) },
});
