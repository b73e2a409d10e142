"""ASGI, "Lifespan": startup, shutdown, and applications that want neither; every CPython."""

from __future__ import annotations

import subprocess

from tests.asgi.hosting import TARGET, OwnAsgi
from tests.python.hosting import command, on_every_python
from tests.support import PATIENCE, until


class Lifespan(OwnAsgi):
    """Point 4."""

    def refusal(self, fault: str, *options: str) -> list[str]:
        """The last lines of a host that does not start."""
        done = subprocess.run(
            ["env", f"LIFESPAN={fault}", *command(str(self.python.program), TARGET, *options)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertNotIn("Serving", done.stdout)
        return done.stderr.splitlines()

    def test_startup_and_shutdown(self) -> None:
        self.start("--lifespan", "on")
        self.assertEqual(self.ask("/hello").status, 200)
        self.host.process.terminate()
        self.assertEqual(self.host.wait(), 0)
        until(
            "both",
            lambda: (
                self.host.log().count("lifespan startup") == 1 == self.host.log().count("lifespan shutdown")
            ),
        )

    def test_a_startup_that_fails_ends_the_worker_with_one_line(self) -> None:
        self.assertIn("its startup failed: no database", "\n".join(self.refusal("startup fails")))

    def test_one_that_raises_is_tolerated_unless_it_must_be(self) -> None:
        self.start(environment={"LIFESPAN": "startup raises"})
        self.assertEqual(self.ask("/hello").status, 200)
        self.host.tells("boom in lifespan")
        self.host.tells("its startup raised, and it is served all the same")
        said = "\n".join(self.refusal("startup raises", "--lifespan", "on"))
        self.assertIn("boom in lifespan", said)
        self.assertIn("--lifespan", said)

    def test_one_that_raises_while_it_serves_is_told(self) -> None:
        self.start(environment={"LIFESPAN": "raises while it serves"})
        self.assertEqual(self.ask("/hello").status, 200)
        self.host.tells("boom in lifespan")
        self.host.tells("its lifespan raised behind its startup")

    def test_off(self) -> None:
        self.start("--lifespan", "off", environment={"LIFESPAN": "startup fails"})
        self.assertEqual(self.ask("/hello").status, 200)

    def test_a_shutdown_that_fails_is_told(self) -> None:
        self.start(environment={"LIFESPAN": "shutdown fails"})
        self.host.process.terminate()
        self.host.wait()
        self.host.tells("its shutdown failed: no database")


load_tests = on_every_python([Lifespan])
