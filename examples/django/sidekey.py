"""Sidekey beside Django's own login: open a session, take the browser back, demand a second factor of a view."""

import functools
import json
import time
import urllib.error
import urllib.request

import jwt
from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect

# Where the second factor's time lies in Django's own session, which Django ties to the browser.
VERIFIED_AT = "sidekey_verified_at"
PENDING = "sidekey_pending"

_keys = jwt.PyJWKClient(f"{settings.SIDEKEY_URL}/.well-known/jwks.json")


def _post(path, body, credential=settings.SIDEKEY_API_KEY):
    request = urllib.request.Request(
        settings.SIDEKEY_URL + path,
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {credential}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def _or_unavailable(view):
    """Where Sidekey cannot be asked, nobody is let in: a plain page says so. A refusal of Sidekey's is another matter."""
    @functools.wraps(view)
    def answered(*args, **kwargs):
        try:
            return view(*args, **kwargs)
        except urllib.error.HTTPError as refusal:
            if refusal.code < 500:
                raise
        except (OSError, jwt.PyJWKClientConnectionError):
            pass
        return HttpResponse("Nobody can sign in at the moment. Try again in a minute.", "text/plain", 503)
    return answered


@_or_unavailable
def second_factor(request, user, next_path="/", demanded=False):
    """Asks for the second factor of a user whose password was right, and signs them in when it is given.

    Who has no device yet is let in without one where Sidekey's enforcement allows it; where a view demands one all the
    same, they are led to Sidekey's account page, on which they set one up.
    """
    opened = _post("/2fa/sessions/", {
        "user_id": str(user.pk),
        "account_name": user.get_username(),
        "ip_address": request.META["REMOTE_ADDR"],
        "user_agent": request.META.get("HTTP_USER_AGENT", ""),
        "return_url": settings.SIDEKEY_RETURN_URL,
    })
    if not opened["requires_2fa"] and demanded:
        return redirect(_post("/2fa/account/link/", {}, opened["access_token"])["account_url"])
    if not opened["requires_2fa"]:
        return _signed_in(request, user, opened["access_token"], next_path)
    # Only the browser that gave the password may come back for the login.
    request.session[PENDING] = {"user": user.pk, "next": next_path}
    return redirect(opened.get("verify_url") or opened["enroll_url"])


@_or_unavailable
def returned(request):
    """The view behind SIDEKEY_RETURN_URL: turns the one-time code into a login."""
    pending = request.session.pop(PENDING, None)
    if not pending or "code" not in request.GET:
        return redirect("login")
    try:
        verified = _post("/2fa/token/", {"code": request.GET["code"]})
    except urllib.error.HTTPError as refusal:
        if refusal.code >= 500:
            raise
        return HttpResponseBadRequest(json.load(refusal)["detail"])
    user = get_user_model().objects.get(pk=pending["user"])
    return _signed_in(request, user, verified["access_token"], pending["next"])


def _signed_in(request, user, token, next_path):
    """The token says whose second factor it was, and when: nothing else is believed."""
    key = _keys.get_signing_key_from_jwt(token).key
    claims = jwt.decode(token, key, ["ES256"], audience=settings.SIDEKEY_APP, issuer=settings.SIDEKEY_URL)
    if claims["sub"] != str(user.pk):
        return HttpResponseBadRequest("This second factor was somebody else's.")
    login(request, user)
    request.session[VERIFIED_AT] = claims.get("auth_time")
    return redirect(next_path)


def require_2fa(max_age=None):
    """Lets a request through whose second factor is at most `max_age` seconds old; others are asked for it."""
    def decorate(view):
        @functools.wraps(view)
        def guarded(request, *args, **kwargs):
            at = request.session.get(VERIFIED_AT)
            if request.user.is_authenticated and at and (max_age is None or time.time() - at <= max_age):
                return view(request, *args, **kwargs)
            if not request.user.is_authenticated:
                return redirect("login")
            return second_factor(request, request.user, request.path, demanded=True)
        return guarded
    return decorate


class SecondFactorMiddleware:
    """Demands a second factor of every path but those of SIDEKEY_OPEN_PATHS."""

    def __init__(self, get_response):
        self.guarded = require_2fa()(get_response)
        self.open = get_response

    def __call__(self, request):
        is_open = request.path.startswith(tuple(settings.SIDEKEY_OPEN_PATHS))
        return self.open(request) if is_open else self.guarded(request)
