"""Makes the fixtures of key URIs.

python3 key_uris.py ../fixtures
"""

import csv
import json
import pathlib
import sys

FOLDER = pathlib.Path(sys.argv[1])
ANN = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
TABLET = "MFRGGZDFMZTWQ2LKGEZDGNBVGY3TQOJQ"
COLUMNS = "user_id account_name key_uri secret digits period name created_at backup_codes".split()
ROWS = [
    {"user_id": "42", "account_name": "ann@example.com", "key_uri": f"otpauth://totp/Shop:ann?secret={ANN}&issuer=Shop", "name": "Phone", "created_at": "2024-05-01T12:00:00Z", "backup_codes": "Ab3d-E6gH, zYxW-1234"},
    {"user_id": "42", "secret": TABLET, "digits": 8, "period": 60, "name": "Tablet"},
    {"user_id": "43", "secret": "GEZDGNBVGY3TQOJQ"},
    {"user_id": "44", "key_uri": f"otpauth://hotp/Shop:dan?secret={ANN}&issuer=Shop&counter=3"},
]
with (FOLDER / "key-uris.csv").open("w", newline="") as file:
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(ROWS)
(FOLDER / "key-uris.json").write_text(json.dumps(ROWS, indent=2) + "\n")
(FOLDER / "key-uris.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
(FOLDER / "key-uris.txt").write_text(
    f"otpauth://totp/Shop:ann?secret={ANN}&issuer=Shop\notpauth://totp/Shop:bob?secret={TABLET}&issuer=Shop&digits=8\n"
)
