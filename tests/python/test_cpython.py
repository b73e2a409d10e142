"""CPython's own tests of `http.server` and `wsgiref`, by way of the import swap: exchanged.py says what is left out, and why."""

from __future__ import annotations

import re
import subprocess

from tests.python.hosting import OwnHosts, on_every_python
from tests.support import REPOSITORY


class Cpython(OwnHosts):
    """The tests start servers by themselves."""

    def run_tests(self, module: str) -> int:
        """How many tests of a module were run; all of them have to pass."""
        shipped = subprocess.run(
            [str(self.python.program), "-c", f"import {module}"], capture_output=True, check=False
        )
        if shipped.returncode != 0:
            self.skipTest(f"this CPython ships no {module}")
        done = subprocess.run(
            [str(self.python.program), "-W", "ignore", "-m", "tests.python.exchanged", module],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        found = re.search(r"^(\d+) run", done.stdout, re.MULTILINE)
        assert found is not None, done.stdout
        return int(found[1])

    def test_http_server(self) -> None:
        self.assertGreater(self.run_tests("test.test_httpservers"), 50)

    def test_wsgiref(self) -> None:
        self.assertGreater(self.run_tests("test.test_wsgiref"), 25)


load_tests = on_every_python([Cpython])
