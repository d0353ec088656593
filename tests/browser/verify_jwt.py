"""Verifies an access token as any service would: PyJWT, the key of its `kid` from the server's key set.

Arguments: the key set's URL, the audience, the issuer, the server's time in Unix seconds. The token comes on standard
input. Prints the token's header and claims as JSON; any fault of the token ends it with an exception.
"""

import json
import sys
import time

import jwt

key_set, audience, issuer, now = sys.argv[1:]
token = sys.stdin.read().strip()
header = jwt.get_unverified_header(token)
key = jwt.PyJWKClient(key_set).get_signing_key_from_jwt(token)
claims = jwt.decode(
    token,
    key,
    algorithms=["ES256"],
    audience=audience,
    issuer=issuer,
    # A test moves the server's clock ahead of this machine's.
    leeway=max(0, int(now) - int(time.time())) + 2,
    options={"require": ["iss", "sub", "aud", "iat", "exp", "jti"]},
)
if not claims["iat"] <= int(now) < claims["exp"]:
    raise SystemExit(f"valid from {claims['iat']} to {claims['exp']}, which {now} is not within")
json.dump({"header": header, "claims": claims}, sys.stdout)
