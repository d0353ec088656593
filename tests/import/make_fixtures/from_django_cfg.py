"""Makes the fixtures of django-cfg with its own models and services.

The package wants Python 3.12 and some fifty others that its second factor never touches, so only the application `totp` is loaded:

python3.12 -m venv venv && venv/bin/pip install django==6.1.3 pyotp==2.12.0 qrcode==8.2 && venv/bin/pip install --no-deps django-cfg==2.3.348
venv/bin/python from_django_cfg.py ../fixtures
"""

import csv
import importlib.util
import io
import json
import logging
import pathlib
import sys
import types

import django
from django.conf import settings

FOLDER = pathlib.Path(sys.argv[1])

# The package without what its `__init__` files import.
root = pathlib.Path(importlib.util.find_spec("django_cfg").submodule_search_locations[0])
for name in ("django_cfg", "django_cfg.apps", "django_cfg.apps.system"):
    package = types.ModuleType(name)
    package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
    sys.modules[name] = package
utils = types.ModuleType("django_cfg.utils")
utils.get_logger = logging.getLogger
sys.modules["django_cfg.utils"] = utils

settings.configure(
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django_cfg.apps.system.totp",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    USE_TZ=True,
    SECRET_KEY="made up",
)
django.setup()

import pyotp  # noqa: E402
from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django_cfg.apps.system.totp.models import BackupCode, TOTPDevice  # noqa: E402
from django_cfg.apps.system.totp.services.backup_service import BackupCodeService  # noqa: E402
from django_cfg.apps.system.totp.services.totp_service import TOTPService  # noqa: E402


def table(name, sql):
    with connection.cursor() as cursor, (FOLDER / name).open("w", newline="") as file:
        cursor.execute(sql)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(column[0] for column in cursor.description)
        writer.writerows(cursor.fetchall())


call_command("migrate", run_syncdb=True, verbosity=0)
ann, bob, cleo = (
    get_user_model().objects.create(username=name, email=f"{name}@example.com") for name in ("ann", "bob", "cleo")
)
known = iter(
    [
        "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
        "MFRGGZDFMZTWQ2LKGEZDGNBVGY3TQOJQ",
        "NBSWY3DPO5XXE3DENBSWY3DPO5XXE3DE",
        "KRUGS4ZANFZSAYLNEBUW4ZLYOBSWG5DF",
    ]
)
TOTPService.generate_secret = classmethod(lambda cls: next(known))
phone = TOTPService.create_device(ann, "Phone")
assert TOTPService.confirm_device(phone, pyotp.TOTP(phone.secret).now())
tablet = TOTPService.create_device(ann, "Tablet", make_primary=False)
assert TOTPService.confirm_device(tablet, pyotp.TOTP(tablet.secret).now())
TOTPService.create_device(bob, "Never confirmed")
disabled = TOTPService.create_device(cleo, "Turned off")
assert TOTPService.confirm_device(disabled, pyotp.TOTP(disabled.secret).now())
TOTPService.disable_device(disabled)

letters = iter("bq7cw4ra k5uhg2tn zz4hx2pl 00aa11bb".split())
BackupCode.generate_code = staticmethod(lambda length=8: next(letters))
codes = BackupCodeService.generate_codes(ann, count=4)
assert BackupCodeService.verify_code(ann, " ZZ4HX2PL "), "case and the blanks around it do not count"
assert not BackupCodeService.verify_code(ann, "bq7c-w4ra"), "a hyphen does"

out = io.StringIO()
call_command("dumpdata", "django_cfg_totp.totpdevice", "django_cfg_totp.backupcode", indent=2, stdout=out)
(FOLDER / "django-cfg.json").write_text(out.getvalue())
table("django-cfg-totpdevice.csv", f"SELECT * FROM {TOTPDevice._meta.db_table}")
table("django-cfg-backupcode.csv", f"SELECT * FROM {BackupCode._meta.db_table}")
(FOLDER / "django-cfg-codes.json").write_text(
    json.dumps({"all": codes, "unused": [code for code in codes if code != "zz4hx2pl"]}, indent=2) + "\n"
)
