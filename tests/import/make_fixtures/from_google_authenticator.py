"""Makes the fixtures of Google Authenticator by its format's fields, which core/src/migration/mod.rs names: the app is on telephones.

python3 from_google_authenticator.py ../fixtures
"""

import base64
import pathlib
import sys
import urllib.parse

FOLDER = pathlib.Path(sys.argv[1])


def number(field, value):
    return bytes([field << 3, value])


def bytes_of(field, value):
    return bytes([field << 3 | 2, len(value)]) + value


def account(secret, name, issuer, digits=1, kind=2):
    return (
        bytes_of(1, secret)
        + bytes_of(2, name.encode())
        + bytes_of(3, issuer.encode())
        + number(4, 1)
        + number(5, digits)
        + number(6, kind)
    )


def uri(index, *accounts):
    payload = b"".join(bytes_of(1, entry) for entry in accounts)
    payload += number(2, 1) + number(3, 2) + number(4, index) + number(5, 7)
    return "otpauth-migration://offline?data=" + urllib.parse.quote(base64.b64encode(payload).decode(), safe="")


first = uri(0, account(b"12345678901234567890", "Shop:ann", "Shop"), account(b"12345678901234567890", "bob", "Other", kind=1))
second = uri(1, account(b"abcdefghij1234567890", "cleo@example.com", "Shop", digits=2))
(FOLDER / "google-authenticator.txt").write_text(f"{first}\n{second}\n")
(FOLDER / "google-authenticator.csv").write_text(f"user_id,uri\n42,{first}\n43,{second}\n")
