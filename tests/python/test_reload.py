"""`--reload`: new code is served once it imports; until then the old one is, and the fault is shown."""

from __future__ import annotations

import re

from tests.python.hosting import Host, OwnHosts, on_every_python
from tests.support import Answer, until

APPLICATION = """
import helper

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"{body} " + helper.NAME]
"""
PAGE = {"Accept": "text/html,application/xhtml+xml"}


class Reload(OwnHosts):
    """One folder that is edited."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.temporary()
        self.write("first", "one")
        self.serve("edited:app", "--reload", folder=self.folder.path)

    def write(self, body: str, name: str) -> None:
        """The application and its helper."""
        self.folder.write("helper.py", f"NAME = b'{name}'\n")
        self.folder.write("edited.py", APPLICATION.format(body=body))

    def ask(self, host: Host) -> Answer | None:
        """The answer for a program; None while the server changes."""
        try:
            return host.get("/")
        except ConnectionError:
            return None

    def assertBecomes(self, body: bytes) -> None:
        """The answer will be that."""

        def is_there() -> bool:
            answer = self.ask(self.host)
            return answer is not None and answer.body == body

        until(f"the answer is {body!r}; log {self.logged()}", is_there)

    def test_new_code_is_served(self) -> None:
        self.assertBecomes(b"first one")
        self.write("second", "one")
        self.assertBecomes(b"second one")
        self.folder.write("helper.py", "NAME = b'two'\n")
        self.assertBecomes(b"second two")
        self.assertIsNone(self.host.process.poll())

    def test_a_syntax_error_is_shown_and_mended(self) -> None:
        self.assertBecomes(b"first one")
        self.folder.write("edited.py", "def app(:\n")
        self.assertLogged("SyntaxError")
        self.assertLogged(r"edited\.py")

        def page() -> Answer | None:
            try:
                with self.host.connect() as wire:
                    return wire.ask("GET", "/", {**PAGE, "Connection": "close"})
            except ConnectionError:
                return None

        def is_shown() -> bool:
            answer = page()
            return answer is not None and b"SyntaxError" in answer.body

        until("a browser is shown the fault", is_shown)
        shown = page()
        assert shown is not None
        self.assertEqual(shown.status, 500)
        self.assertRegex(shown.header("Content-Type") or "", "^text/html")
        self.assertIn(b"edited.py", shown.body)
        self.assertIsNone(re.search(rb"<script[^>]+src=.?http", shown.body))
        answer = self.ask(self.host)
        assert answer is not None
        self.assertEqual(answer.body, b"first one", "the old code serves programs")
        self.write("mended", "one")
        self.assertBecomes(b"mended one")
        shown = page()
        assert shown is not None
        self.assertEqual(shown.body, b"mended one")

    def test_an_error_at_import_in_another_module(self) -> None:
        self.folder.write("helper.py", "raise ValueError('boom of the helper')\n")
        self.assertLogged("boom of the helper")
        self.assertBecomes(b"first one")
        self.folder.write("helper.py", "NAME = b'new'\n")
        self.assertBecomes(b"first new")


load_tests = on_every_python((), (Reload,))
