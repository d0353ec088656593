"""A Django project in one file, with Django's own users and login, and Sidekey beside it.

    SIDEKEY_API_KEY=… python project.py migrate
    SIDEKEY_API_KEY=… python project.py runserver
"""

import os
import sys
from pathlib import Path

from django.conf import settings
from django.core.management import execute_from_command_line
from django.urls import path

HERE = Path(__file__).resolve().parent
PUBLIC_URL = os.environ.get("PUBLIC_URL", "http://127.0.0.1:8000")

settings.configure(
    DEBUG=True,
    SECRET_KEY=os.environ.get("SECRET_KEY", "only-for-this-example"),
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE", str(HERE / "example.sqlite3")),
    }},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "sidekey.SecondFactorMiddleware",
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [HERE / "templates"]}],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    LOGIN_URL="/login/",
    # Sidekey: where it is, which app this is, and what needs no second factor.
    SIDEKEY_URL=os.environ.get("SIDEKEY_URL", "http://127.0.0.1:8080"),
    SIDEKEY_APP=os.environ.get("SIDEKEY_APP", "django"),
    SIDEKEY_API_KEY=os.environ.get("SIDEKEY_API_KEY", ""),
    SIDEKEY_RETURN_URL=f"{PUBLIC_URL}/returned/",
    SIDEKEY_OPEN_PATHS=["/login/", "/returned/"],
)

import django  # noqa: E402

django.setup()

from django.contrib.auth import views  # noqa: E402
from django.http import HttpResponse  # noqa: E402

from sidekey import require_2fa, returned, second_factor  # noqa: E402


class Login(views.LoginView):
    """Django's own login, which hands a right password on to Sidekey in place of signing in."""

    template_name = "login.html"

    def form_valid(self, form):
        return second_factor(self.request, form.get_user())


def home(request):
    return HttpResponse(f"Hello {request.user.get_username()}, with a second factor.")


@require_2fa(max_age=3600)
def terminal(request):
    return HttpResponse(f"Terminal of {request.user.get_username()}.")


urlpatterns = [
    path("login/", Login.as_view(), name="login"),
    path("returned/", returned),
    path("terminal/", terminal),
    path("", home),
]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
