"""Makes the fixtures of PSKC (RFC 6030) with python-pskc; `pskctool` of the OATH Toolkit reads the plain ones.

python3 -m venv venv && venv/bin/pip install 'python-pskc[lxml]==1.4'
venv/bin/python from_pskc.py ../fixtures
"""

import pathlib
import sys

from pskc import PSKC

FOLDER = pathlib.Path(sys.argv[1])
TOTP = "urn:ietf:params:xml:ns:keyprov:pskc:totp"
HOTP = "urn:ietf:params:xml:ns:keyprov:pskc:hotp"


def container():
    pskc = PSKC()
    pskc.add_key(
        id="key-1",
        serial="1000001",
        manufacturer="Example",
        key_userid="UID=ann",
        algorithm=TOTP,
        response_length=6,
        response_encoding="DECIMAL",
        secret=b"12345678901234567890",
        time_interval=30,
        time_drift=0,
    )
    pskc.add_key(
        id="key-2",
        serial="1000002",
        device_userid="CN=bob, O=Example",
        algorithm=TOTP,
        algorithm_suite="HMAC-SHA256",
        response_length=8,
        response_encoding="DECIMAL",
        secret=b"12345678901234567890123456789012",
        time_interval=60,
    )
    pskc.add_key(
        id="key-3",
        serial="1000003",
        key_userid="UID=cleo",
        algorithm=HOTP,
        response_length=6,
        response_encoding="DECIMAL",
        secret=b"12345678901234567890",
        counter=4,
    )
    return pskc


plain = container()
plain.write(str(FOLDER / "pskc-plain.xml"))
preshared = container()
preshared.encryption.setup_preshared_key(
    key=bytes.fromhex("12345678901234567890123456789012"), key_name="Pre-shared-key", algorithm="aes128-cbc"
)
preshared.write(str(FOLDER / "pskc-preshared.xml"))
passphrase = container()
passphrase.encryption.setup_pbkdf2(
    "a made-up passphrase", salt=bytes(range(16)), iterations=12_000, key_name="Passphrase", algorithm="aes128-cbc"
)
passphrase.write(str(FOLDER / "pskc-passphrase.xml"))
(FOLDER / "pskc-preshared.key").write_text("12345678901234567890123456789012\n")
(FOLDER / "pskc-passphrase.key").write_text("a made-up passphrase\n")
