"""The import swap: scripts that use http.server and wsgiref run as they are, with salver's modules in their place.

Each script of `scripts/` is run twice, as it stands and with its imports exchanged; it has to print the same.
"""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

from tests.python.hosting import APPS, HOST, OwnHosts, on_every_python
from tests.support import Started

SCRIPTS = Path(__file__).with_name("scripts")
EXCHANGED = (
    ("from http.server import", "from salver.http_server import"),
    ("from wsgiref.simple_server import", "from salver.wsgi import"),
)
SERVE = """
import salver
from routes import app
salver.serve(app, bind="127.0.0.1:0", threads=3, access_log="off", header=["X-Served", "yes"])
print("served", flush=True)
"""


class Swap(OwnHosts):
    """No host of its own: the scripts are the hosts."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.temporary()

    def script(self, name: str, *, exchanged: bool) -> str:
        """The path of a script, its imports exchanged or as they are."""
        text = (SCRIPTS / f"{name}.py").read_text()
        if exchanged and HOST == "salver":
            for theirs, ours in EXCHANGED:
                text = text.replace(theirs, ours)
            self.assertIn("from salver.", text)
        return str(self.folder.write(f"{name}_{exchanged}.py", text))

    def run_script(self, name: str, *, exchanged: bool) -> str:
        """What it prints; it has to end well."""
        done = subprocess.run(
            [str(self.python.program), self.script(name, exchanged=exchanged)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        return done.stdout

    def assertSame(self, name: str) -> None:
        """It prints with salver what it prints without."""
        theirs = self.run_script(name, exchanged=False)
        self.assertTrue(theirs)
        self.assertEqual(self.run_script(name, exchanged=True), theirs)

    def test_a_server_in_a_thread(self) -> None:
        self.assertSame("threaded")

    def test_one_request(self) -> None:
        self.assertSame("one_request")

    def test_files_of_a_folder(self) -> None:
        self.assertSame("folder")

    def test_make_server(self) -> None:
        self.assertSame("wsgi")

    def test_interrupted(self) -> None:
        for exchanged in (False, True):
            with Started(
                [str(self.python.program), self.script("interrupted", exchanged=exchanged)]
            ) as server:
                self.assertEqual(server.get("/").status, 200)
                server.signal(signal.SIGINT)
                self.assertEqual(server.wait(), 0)
                assert server.process.stdout is not None
                self.assertEqual(server.process.stdout.read(), "interrupted\nclosed\n")

    def test_serve(self) -> None:
        if HOST != "salver":
            self.skipTest("salver's own")
        with Started([str(self.python.program), "-c", SERVE], cwd=APPS) as server:
            answer = server.get("/hello")
            self.assertEqual((answer.body, answer.header("X-Served")), (b"Hello, world!", "yes"))
            server.signal(signal.SIGTERM)
            self.assertEqual(server.wait(), 0)
            self.assertIsNone(re.search("Traceback|GET /hello", server.log()))


load_tests = on_every_python((Swap,))
