"""What the OpenAPI document says, the server does: schemathesis asks with an API key and with a user's access token.

Only one of its checks is left out: that what fits the schema is accepted. A code that fits is wrong nearly always.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

EXAMPLES = "25"
# The same questions in each run; another number asks others.
SEED = os.environ.get("SIDEKEY_SCHEMA_SEED", "1")
START_LIMIT = 60
RUN_LIMIT = 240
# The user would sign itself out, and learn nothing from there on; a proxy asks with headers of its own.
LEFT_OUT = ["^/2fa/sign-out/$", "^/2fa/authz/"]


def totp(secret: str) -> str:
    """RFC 6238 with the defaults: SHA-1, six digits, 30 seconds."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    offset = digest[-1] & 15
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def post(url: str, token: str, body: dict) -> dict:
    """One call, which must succeed."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def started(folder: Path) -> tuple[subprocess.Popen, str]:
    """A server in development mode, and its address."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SIDEKEY_")}
    command = [os.environ["SIDEKEY_BIN"], "serve", "--development", "--listen", "127.0.0.1:0", "--data", folder / "data"]
    with (folder / "out").open("w") as out, (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=out, stderr=log, env=environment)
    until = time.monotonic() + START_LIMIT
    while time.monotonic() < until and server.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+", (folder / "out").read_text()):
            return server, found.group()
        time.sleep(0.1)
    server.kill()
    sys.exit(f"the server did not start: {(folder / 'log').read_text()}")


def enrolled(address: str, key: str) -> str:
    """The access token of a user with a device."""
    opened = post(f"{address}/2fa/sessions/", key, {"user_id": "schema"})
    setup = post(f"{address}/2fa/setup/", opened["enrollment_token"], {})
    answer = {"device_id": setup["device_id"], "code": totp(setup["secret"])}
    return post(f"{address}/2fa/setup/confirm/", opened["enrollment_token"], answer)["access_token"]


def conforms(address: str, who: str, token: str) -> bool:
    """Whether everything that was asked with this token was answered as the document says."""
    print(f"as {who} …", flush=True)
    settings = Path(__file__).with_name("schemathesis.toml")
    command = [Path(sys.executable).with_name("schemathesis"), "--config-file", settings]
    command += ["run", f"{address}/openapi.json"]
    command += ["--header", f"Authorization: Bearer {token}", "--phases", "examples,coverage,fuzzing"]
    command += ["--exclude-checks", "positive_data_acceptance", "--max-examples", EXAMPLES, "--seed", SEED]
    command += [part for path in LEFT_OUT for part in ("--exclude-path-regex", path)]
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=RUN_LIMIT)
    asked = re.search(r"(\d+) generated", run.stdout)
    if run.returncode != 0 or not asked or int(asked.group(1)) < 500:
        print(run.stdout, run.stderr)
        return False
    print(f"as {who}: {asked.group()}, all answered as the document says")
    return True


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server, address = started(folder)
        try:
            key = (folder / "data/development-api-key").read_text().strip()
            user = enrolled(address, key)
            good = [conforms(address, "an application", key), conforms(address, "a user", user)]
        finally:
            server.terminate()
            ended = server.wait(timeout=30)
        log = (folder / "log").read_text()
        for trouble in ("panicked", "INTERNAL"):
            if trouble in log:
                sys.exit(f"the log speaks of `{trouble}`")
        if ended != 0 or not all(good):
            sys.exit("the server and its OpenAPI document differ")


main()
