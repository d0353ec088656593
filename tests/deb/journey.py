"""The package on a Debian system: installed, started as its unit says, used, upgraded over itself, removed, purged.

It changes the system that it runs on: see sandbox.sh. There is no systemd here, so this file does what the unit asks of it: the user,
the state folder, the credential, the notification.
"""

import base64
import configparser
import fcntl
import hashlib
import hmac
import json
import os
import pathlib
import pwd
import shlex
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request

SERVER = "http://127.0.0.1:8080"
KEY = pathlib.Path("/etc/sidekey/master.key")
SETTINGS = pathlib.Path("/etc/sidekey/sidekey.toml")
DATA = pathlib.Path("/var/lib/sidekey")
BACKUPS = pathlib.Path("/var/lib/sidekey-backups")
UNITS = pathlib.Path("/usr/lib/systemd/system")


def run(*command, **options):
    """Standard output of a command that must succeed; its standard error is shown."""
    print("$", shlex.join(map(str, command)), flush=True)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def unit(name):
    """The keys of [Service]. Of those that are given twice, the last one counts."""
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",))
    parser.optionxform = str
    parser.read(UNITS / name)
    return parser["Service"]


def as_unit(service, environment):
    """Command and environment of a unit's process, with its credential and state folders in place."""
    user = pwd.getpwnam(service["User"])
    name, source = service["LoadCredential"].split(":")
    credentials = pathlib.Path("/run/credentials")
    shutil.rmtree(credentials, ignore_errors=True)
    credentials.mkdir(mode=0o755)
    shutil.copyfile(source, credentials / name)
    os.chmod(credentials / name, 0o400)
    os.chown(credentials / name, user.pw_uid, user.pw_gid)
    for folder in service["StateDirectory"].split():
        folder = pathlib.Path("/var/lib", folder)
        folder.mkdir(mode=int(service["StateDirectoryMode"], 8), exist_ok=True)
        os.chown(folder, user.pw_uid, user.pw_gid)
    given = dict(pair.split("=", 1) for pair in shlex.split(service.get("Environment", "")))
    environment = {"PATH": os.environ["PATH"], "CREDENTIALS_DIRECTORY": str(credentials), **given, **environment}
    drop = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--no-new-privs"]
    return [*drop, "--bounding-set=-all", "--inh-caps=-all", *shlex.split(service["ExecStart"])], environment


class Server:
    """The server as sidekey.service starts it."""

    def __init__(self):
        manager = pathlib.Path("/run/notify")
        manager.unlink(missing_ok=True)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(manager))
        os.chmod(manager, 0o666)
        self.manager.settimeout(60)
        command, environment = as_unit(unit("sidekey.service"), {"NOTIFY_SOCKET": str(manager)})
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
        self.expect("READY=1")

    def expect(self, line):
        try:
            told = self.manager.recv(4096).decode().split("\n")
        except TimeoutError:
            raise AssertionError(f"no {line}; the server has ended with {self.process.poll()}") from None
        assert told[0] == line, told

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.expect("STOPPING=1")
        assert self.process.wait(timeout=60) == 0
        self.manager.close()


def call(method, path, token=None, **fields):
    """Status and JSON of an answer."""
    body = json.dumps(fields).encode() if method == "POST" else None
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(SERVER + path, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


def totp(secret, step):
    """RFC 6238 with its defaults."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", step), hashlib.sha1).digest()
    number = struct.unpack_from(">I", digest, digest[-1] & 15)[0] & 0x7FFF_FFFF
    return f"{number % 1_000_000:06}"


def sign_in(api_key, secret, after):
    """A login with a code that has not been used: of the step after the one that was."""
    while int(time.time()) // 30 < after:
        time.sleep(0.2)
    status, opened = call("POST", "/2fa/sessions/", api_key, user_id="42")
    assert status in (200, 201), opened
    step = max(int(time.time()) // 30, after + 1)
    status, login = call("POST", "/2fa/verify/", session_id=opened["session_id"], code=totp(secret, step))
    assert status == 200 and login["access_token"], login
    return step


def loopback():
    """A new network namespace has its own loopback, which is down: SIOCGIFFLAGS, then SIOCSIFFLAGS with IFF_UP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = fcntl.ioctl(any_socket, 0x8913, struct.pack("16sh14x", b"lo", 0))
        name, flags = struct.unpack("16sh14x", request)
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", name, flags | 1))


def backups():
    return sorted(path.name for path in BACKUPS.iterdir())


def main(package):
    loopback()

    print(run("dpkg", "--install", package))
    key = KEY.read_bytes()
    assert mode(KEY) == 0o600 and KEY.stat().st_uid == 0, oct(mode(KEY))
    assert pwd.getpwnam("sidekey").pw_uid != 0
    run("sidekey", "config", "check", "--config", SETTINGS, "--master-key-file", KEY)
    units = [UNITS / name for name in ("sidekey.service", "sidekey.socket", "sidekey-backup.service", "sidekey-backup.timer")]
    if shutil.which("systemd-analyze"):
        # Man pages are looked for by a program of their own, which may not be there.
        run("systemd-analyze", "verify", "--man=no", *units)
        # In tenths: 0 is a service that can do nothing, 100 one that can do everything.
        security = ("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20")
        run(*security, UNITS / "sidekey.service")
        run(*security, UNITS / "sidekey-backup.service")

    server = Server()
    assert call("GET", "/readyz")[0] == 200
    assert mode(DATA) == 0o700 and DATA.stat().st_uid == pwd.getpwnam("sidekey").pw_uid
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    assert "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status, status
    app = json.loads(run("sidekey", "app", "create", "--name", "Shop", "--enforcement", "required", "--data", DATA, "--json"))
    api_key = app["api_key"]
    _, opened = call("POST", "/2fa/sessions/", api_key, user_id="42", account_name="ann@example.com")
    token = opened["enrollment_token"]
    _, setup = call("POST", "/2fa/setup/", token, device_name="Phone")
    step = int(time.time()) // 30
    status, confirmed = call(
        "POST", "/2fa/setup/confirm/", token, device_id=setup["device_id"], code=totp(setup["secret"], step)
    )
    assert status in (200, 201), confirmed
    step = sign_in(api_key, setup["secret"], step)

    environment = {"KEEP": "2"}
    for _ in range(3):
        before = time.time() // 1
        command, variables = as_unit(unit("sidekey-backup.service"), {})
        subprocess.run(command, env={**variables, **environment}, check=True)
        newest = backups()[-1]
        while time.time() // 1 == before:
            time.sleep(0.05)
    assert len(backups()) == 2 and newest in backups(), backups()

    # An upgrade over itself keeps key, settings and data.
    SETTINGS.write_text(SETTINGS.read_text() + '\nissuer = "Shop"\n')
    settings = SETTINGS.read_text()
    server.stop()
    print(run("dpkg", "--install", package))
    assert KEY.read_bytes() == key and SETTINGS.read_text() == settings
    server = Server()
    _, user = call("GET", "/2fa/users/42/", api_key)
    assert user["devices"] == 1, user
    step = sign_in(api_key, setup["secret"], step)
    assert "Nothing is damaged and nothing is missing." in run("sidekey", "verify", "--data", DATA)
    server.stop()

    print(run("dpkg", "--remove", "sidekey"))
    assert SETTINGS.exists() and not pathlib.Path("/usr/bin/sidekey").exists()
    said = run("dpkg", "--purge", "sidekey")
    assert not SETTINGS.exists()
    assert KEY.read_bytes() == key and DATA.is_dir() and len(backups()) == 2
    for kept in (KEY, DATA, BACKUPS):
        assert f"{kept} stays" in said, said
    print("installed, started, used, backed up, upgraded, removed and purged")


if __name__ == "__main__":
    main(sys.argv[1])
