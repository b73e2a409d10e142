"""A Django project as `startproject` makes it: the admin in Chromium, sessions on SQLite, static files by a mount."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests import chromium
from tests.python.hosting import Host, OwnHosts, on_every_python
from tests.support import PATIENCE

SETTINGS = """
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
DEBUG = False
STATIC_ROOT = BASE_DIR / "collected"
DATABASES["default"]["OPTIONS"] = {"timeout": 20}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
"""
ADMIN = Path(__file__).with_name("admin.mjs")
USER, PASSWORD = "operator", "of a test"


class Django(OwnHosts):
    """One project, made anew."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.temporary()
        self.django("-m", "django", "startproject", "project", ".")
        settings = self.folder.path / "project" / "settings.py"
        settings.write_text(settings.read_text() + SETTINGS)
        self.django("manage.py", "migrate", "--verbosity=0")
        self.django("manage.py", "collectstatic", "--verbosity=0", "--noinput")
        self.django(
            "manage.py", "createsuperuser", "--noinput", "--username", USER, "--email", "a@example.org"
        )

    def django(self, *arguments: str) -> str:
        """Django's own commands."""
        done = subprocess.run(
            [str(self.python.program), *arguments],
            cwd=self.folder.path,
            env={**os.environ, "DJANGO_SUPERUSER_PASSWORD": PASSWORD},
            capture_output=True,
            text=True,
            timeout=4 * PATIENCE,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def start(self) -> Host:
        """The project, its static files beside it."""
        static = f"--mount=/static=files:{self.folder.path}/collected"
        return self.serve("project.wsgi:application", static, folder=self.folder.path)

    def test_the_admin_in_a_browser(self) -> None:
        seen = json.loads(chromium.run(ADMIN, self.start().url, USER, PASSWORD))
        self.assertEqual((seen["sentTo"], seen["came"]), ("/admin/login/", "/admin/auth/group/add/"))
        self.assertIn("Please enter the correct username", seen["refused"])
        self.assertIn("Gruppe ä", seen["made"])
        self.assertIn("Gruppe ü", seen["listed"])
        self.assertIn("Gruppe ü", seen["found"])
        self.assertIn("Successfully deleted 1 group", seen["removed"])
        self.assertIn(["sessionid", True], seen["cookies"])
        self.assertIn("Thanks for spending", seen["left"])
        self.assertNotEqual(seen["colour"], "rgba(0, 0, 0, 0)", "the style sheet came")
        wrong = [
            load for load in seen["loaded"] if load[0] not in (200, 302, 304) and load[1] != "/favicon.ico"
        ]
        self.assertEqual(wrong, [])
        self.assertTrue(any(path.startswith("/static/admin/") for _, path in seen["loaded"]))
        count = "from django.contrib.sessions.models import Session; print(Session.objects.count())"
        self.assertEqual(self.django("manage.py", "shell", "-v", "0", "-c", count).strip().split()[-1], "0")

    def test_a_form_without_its_token(self) -> None:
        host = self.start()
        with host.connect() as wire:
            body = b"username=a&password=b"
            self.send(wire, "admin/login/", f"Content-Length: {len(body)}\r\n", body)
            answer = wire.answer()
            self.assertEqual(answer.status, 403)
            self.assertIn(b"CSRF", answer.body)
        self.assertEqual(
            host.get("/static/admin/css/base.css").header("Content-Type"), "text/css; charset=utf-8"
        )
        self.assertEqual(host.get("/nothing").status, 404)


load_tests = on_every_python((), (Django,))
