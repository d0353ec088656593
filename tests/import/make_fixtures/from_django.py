"""Makes the fixtures of django-otp and django-allauth with the packages themselves.

python3 -m venv venv && venv/bin/pip install django-otp==1.7.5 'django-allauth[mfa]==65.21.1'
venv/bin/python from_django.py ../fixtures
"""

import csv
import datetime
import io
import json
import pathlib
import sys

import django
from django.conf import settings

FOLDER = pathlib.Path(sys.argv[1])
NOW = datetime.datetime(2024, 5, 1, 12, 0, 0, tzinfo=datetime.timezone.utc)

settings.configure(
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django_otp",
        "django_otp.plugins.otp_totp",
        "django_otp.plugins.otp_static",
        "django_otp.plugins.otp_hotp",
        "allauth",
        "allauth.account",
        "allauth.mfa",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    MIDDLEWARE=["allauth.account.middleware.AccountMiddleware"],
    USE_TZ=True,
    SECRET_KEY="made up",
)
django.setup()

from allauth.mfa.models import Authenticator  # noqa: E402
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes  # noqa: E402
from allauth.mfa.totp.internal.auth import TOTP as AllauthTOTP  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django_otp.plugins.otp_hotp.models import HOTPDevice  # noqa: E402
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken  # noqa: E402
from django_otp.plugins.otp_totp.models import TOTPDevice  # noqa: E402


def dump(name, *labels, natural=False):
    """What `manage.py dumpdata` writes."""
    out = io.StringIO()
    call_command("dumpdata", *labels, indent=2, stdout=out, use_natural_foreign_keys=natural)
    (FOLDER / name).write_text(out.getvalue())


def table(name, sql):
    """What `psql --csv` and other clients write."""
    with connection.cursor() as cursor, (FOLDER / name).open("w", newline="") as file:
        cursor.execute(sql)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(column[0] for column in cursor.description)
        writer.writerows(cursor.fetchall())


call_command("migrate", verbosity=0)
ann, bob, cleo, dan = (
    User.objects.create(username=name, email=f"{name}@example.com") for name in ("ann", "bob", "cleo", "dan")
)

# django-otp. The keys are those of RFC 6238's test vectors.
TWENTY = b"12345678901234567890".hex()
phone = TOTPDevice.objects.create(user=ann, name="Phone", key=TWENTY, confirmed=True)
phone.created_at = NOW
phone.last_used_at = NOW + datetime.timedelta(days=7)
phone.last_t = 57_160_000
phone.save()
TOTPDevice.objects.create(
    user=bob, name="Eight digits", key=b"abcdefghij1234567890".hex(), confirmed=True, digits=8, step=60, drift=-1
)
TOTPDevice.objects.create(user=bob, name="Never confirmed", key=b"nobodynobodynobody20".hex(), confirmed=False)
# A start other than 1970 moves every code, so this one cannot be taken over.
TOTPDevice.objects.create(user=cleo, name="Other start", key=TWENTY, confirmed=True, t0=7)
HOTPDevice.objects.create(user=dan, name="Counter", key=TWENTY, confirmed=True, counter=3)
codes = StaticDevice.objects.create(user=ann, name="backup", confirmed=True)
for token in ("bq7cw4ra", "k5uhg2tn", "zz4hx2pl"):
    StaticToken.objects.create(device=codes, token=token)
assert StaticDevice.objects.get(user=ann).verify_token("zz4hx2pl"), "one code was used, and its row is gone"
dump("django-otp.json", "otp_totp", "otp_static", "otp_hotp")
dump("django-otp-with-users.json", "auth.user", "otp_totp", "otp_static")
table("django-otp-totpdevice.csv", "SELECT * FROM otp_totp_totpdevice")
table("django-otp-staticdevice.csv", "SELECT * FROM otp_static_staticdevice")
table("django-otp-statictoken.csv", "SELECT * FROM otp_static_statictoken")

# django-allauth. `activate` is what its own pages call.
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
AllauthTOTP.activate(ann, SECRET)
RecoveryCodes.generate_seed = classmethod(lambda cls: "5eed" * 20)
recovery = RecoveryCodes.activate(ann)
unused = recovery.get_unused_codes()
assert recovery.validate_code(unused[0]) and recovery.validate_code(unused[4]), "two codes were used"
AllauthTOTP.activate(bob, "MFRGGZDFMZTWQ2LKGEZDGNBVGY3TQOJQ")
Authenticator.objects.create(
    user=bob,
    type=Authenticator.Type.RECOVERY_CODES,
    data={"migrated_codes": ["Abcd-Efgh-1", "ghij-klmn-2"]},
)
Authenticator.objects.create(
    user=cleo, type=Authenticator.Type.WEBAUTHN, data={"name": "Key", "credential": {"id": "made-up"}}
)
# What an adapter of the application's own encrypted is not base32.
Authenticator.objects.create(
    user=dan, type=Authenticator.Type.TOTP, data={"secret": "gAAAAABmMm0A-made-up-fernet-token=="}
)
Authenticator.objects.update(created_at=NOW)
Authenticator.objects.filter(user=ann, type=Authenticator.Type.TOTP).update(
    last_used_at=NOW + datetime.timedelta(hours=1)
)
dump("django-allauth.json", "mfa")
table("django-allauth.csv", "SELECT * FROM mfa_authenticator")
left = RecoveryCodes(Authenticator.objects.get(user=ann, type="recovery_codes")).get_unused_codes()
(FOLDER / "django-allauth-unused.json").write_text(json.dumps({"all": unused, "unused": left}, indent=2) + "\n")
