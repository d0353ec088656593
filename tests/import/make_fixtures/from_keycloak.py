"""Makes the fixtures of Keycloak as its source writes them: no server of it runs here.

OTPCredentialModel, OTPCredentialData, OTPSecretData, RecoveryAuthnCodesCredentialModel and RecoveryAuthnCodesUtils of
keycloak/keycloak give the fields, ExportUtils and CredentialEntity where they stand.

python3 from_keycloak.py ../fixtures
"""

import base64
import csv
import hashlib
import json
import pathlib
import sys

FOLDER = pathlib.Path(sys.argv[1])
CREATED = 1_714_564_800_123


def totp(value, label="Phone", **data):
    fields = {"subType": "totp", "digits": 6, "counter": 0, "period": 30, "algorithm": "HmacSHA1"} | data
    return ("otp", label, {"value": value}, fields)


def recovery(codes, algorithm):
    hashed = [base64.b64encode(hashlib.sha512(code.encode()).digest()).decode() for code in codes]
    secret = {"codes": [{"number": n + 1, "encodedHashedValue": value} for n, value in enumerate(hashed)]}
    data = {"hashIterations": 1, "algorithm": algorithm, "remaining": len(codes)}
    return ("recovery-authn-codes", "Recovery codes", secret, data)


CODES = ["ABCDEFGH1234", "QRSTUVWX5678", "ZYXWVUTS9876"]
PASSWORD = ("password", None, {"value": "not read", "salt": "bm90IHJlYWQ="}, {"hashIterations": 5, "algorithm": "argon2"})
USERS = {
    # The text itself is the secret where no encoding is named: that is how Keycloak makes them.
    "ann": [PASSWORD, totp("12345678901234567890"), recovery(CODES, "RS512")],
    "bob": [
        totp("MFRGGZDFMZTWQ2LKGEZDGNBVGY3TQOJQ", "", digits=8, algorithm="HmacSHA256", secretEncoding="BASE32"),
        totp("another12345678901234567890", "Tablet", period=60, algorithm="HmacSHA512"),
        recovery(CODES[1:], "SHA-512"),
    ],
    "cleo": [("otp", "Counter", {"value": "12345678901234567890"}, {"subType": "hotp", "digits": 6, "counter": 4, "period": 0, "algorithm": "HmacSHA1"})],
    "dan": [PASSWORD],
}
identifier = {name: f"{number:08d}-0000-4000-8000-000000000000" for number, name in enumerate(USERS, 1)}
rows, users = [], []
for name, credentials in USERS.items():
    shown = []
    for number, (kind, label, secret, data) in enumerate(credentials):
        entry = {"id": f"{identifier[name][:-1]}{number}", "type": kind}
        if label is not None:
            entry["userLabel"] = label
        entry |= {
            "createdDate": CREATED,
            "secretData": json.dumps(secret, separators=(",", ":")),
            "credentialData": json.dumps(data, separators=(",", ":")),
        }
        shown.append(entry)
        rows.append(
            [entry["id"], "", kind, identifier[name], CREATED, label or "", entry["secretData"], entry["credentialData"], 10 * (number + 1)]
        )
    users.append(
        {
            "id": identifier[name],
            "username": name,
            "email": f"{name}@example.com",
            "enabled": True,
            "totp": any(kind == "otp" for kind, *_ in credentials),
            "credentials": shown,
            "realmRoles": ["default-roles-shop"],
        }
    )
realm = {"id": "shop", "realm": "shop", "otpPolicyType": "totp", "otpPolicyDigits": 6, "clients": [], "users": users}
(FOLDER / "keycloak-realm.json").write_text(json.dumps(realm, indent=2) + "\n")
with (FOLDER / "keycloak-credential.csv").open("w", newline="") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow("id salt type user_id created_date user_label secret_data credential_data priority".split())
    writer.writerows(rows)
(FOLDER / "keycloak-codes.json").write_text(json.dumps(CODES, indent=2) + "\n")
