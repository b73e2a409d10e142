"""`--preload`: applications are imported once, and workers are copies of the process that did."""

from __future__ import annotations

import os
import re
import signal
import unittest
from pathlib import Path

from tests.operate.crew import Clients, children, is_alive
from tests.operate.test_applications import RELOADS, REQUESTS
from tests.python.hosting import Host
from tests.support import Folder, until

#: Notes that it was imported, and by whom; answers who has answered, and with which code.
APPLICATION = """
import os
from pathlib import Path

BALLAST = bytearray(os.urandom(1 << 20)) * 64
with Path("imports").open("a") as file:
    print(os.getpid(), file=file)


def make():
    with Path("made").open("a") as file:
        print(os.getpid(), file=file)
    return app


def app(environ, start):
    start("200 OK", [("X-Code", "{code}"), ("X-Pid", str(os.getpid()))])
    return [b"x"]


async def asynchronous(scope, receive, send):
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": str(os.getpid()).encode()}})
"""

STARTS_A_THREAD = """
import threading, time

threading.Thread(target=time.sleep, args=(60,), daemon=True).start()


def app(environ, start):
    pass
"""


class Preload(unittest.TestCase):
    """Workers that are copies."""

    def setUp(self) -> None:
        self.folder = Folder()
        self.addCleanup(self.folder.remove)
        self.code("1")

    def code(self, code: str) -> None:
        """The application, from now on."""
        self.folder.write("shop.py", APPLICATION.format(code=code))

    def host(self, *options: str, target: str = "shop:app", workers: int = 3) -> Host:
        """Started."""
        host = Host(
            target,
            *("--preload", "--workers", str(workers), "--access-log", "off", *options),
            folder=self.folder.path,
        )
        self.addCleanup(host.__exit__)
        return host

    def noted(self, name: str) -> list[int]:
        """Which processes noted something in this file."""
        path = self.folder.path / name
        return [int(line) for line in path.read_text().splitlines()] if path.exists() else []

    def workers(self, host: Host) -> set[int]:
        """The processes that answer."""
        return set(children(host.process.pid)) - set(self.noted("imports"))

    def answers(self, host: Host) -> set[tuple[str | None, str | None]]:
        """The codes and processes that answer on new connections."""
        answers = [host.get("/") for _ in range(30)]
        return {(answer.header("X-Code"), answer.header("X-Pid")) for answer in answers}

    def codes(self, host: Host) -> set[str | None]:
        """The codes that answer."""
        return {code for code, _ in self.answers(host)}

    def test_one_import_for_all(self) -> None:
        host = self.host()
        [original] = self.noted("imports")
        workers = self.workers(host)
        self.assertEqual(len(workers), 3)
        self.assertIn(original, children(host.process.pid))
        answering = {int(pid or 0) for _, pid in self.answers(host)}
        self.assertLessEqual(answering, workers)
        self.assertGreater(len(answering), 1)
        for worker in workers:
            memory = Path(f"/proc/{worker}/smaps_rollup").read_text()
            private = sum(map(int, re.findall(r"^Private_\w+: +(\d+) kB$", memory, re.MULTILINE)))
            self.assertLess(private, 32 << 10, "64 MiB of the application are shared")
        host.signal(signal.SIGTERM)
        self.assertEqual(host.wait(), 0, host.log())
        until("nobody is left", lambda: not any(map(is_alive, [original, *workers])), 2)

    def test_who_is_killed_is_replaced(self) -> None:
        host = self.host(workers=2)
        before = self.workers(host)
        for worker in before:
            os.kill(worker, signal.SIGKILL)
        until("others answer", lambda: len(self.workers(host) - before) == 2)
        until("they have the code", lambda: self.codes(host) == {"1"})
        self.assertEqual(len(self.noted("imports")), 1)
        host.tells("signal 9, SIGKILL")
        # The one that they are copies of.
        [original] = self.noted("imports")
        before = self.workers(host)
        os.kill(original, signal.SIGKILL)
        host.tells("which workers are copies of, died")
        self.assertEqual(self.workers(host), before, "its copies go on")
        os.kill(min(before), signal.SIGKILL)
        until("another one imports", lambda: len(self.noted("imports")) == 2)
        until("it is copied", lambda: len(self.workers(host)) == 2 and self.workers(host) != before)

    def test_a_reload_imports_anew_and_loses_nothing(self) -> None:
        host = self.host(workers=2)
        clients = Clients(host, {"/": b"x"})
        for number in range(1, 1 + RELOADS):
            goal, code = REQUESTS * number // RELOADS, f"reloaded {number}"
            until("requests are made", lambda: clients.reached(goal), 120)  # noqa: B023
            self.code(code)
            host.signal(signal.SIGHUP)
            until("the new code answers", lambda: self.codes(host) == {code})  # noqa: B023
        imports = self.noted("imports")
        self.assertEqual(len(imports), 1 + RELOADS)
        until("the originals of before are gone", lambda: not any(map(is_alive, imports[:-1])))
        until("those of before have drained", lambda: len(self.workers(host)) == 2)
        before = self.workers(host)
        self.folder.write("shop.py", "def broken(:\n")
        host.signal(signal.SIGHUP)
        host.tells("not reloaded, what was served is served on")
        host.tells("SyntaxError")
        self.assertEqual(self.workers(host), before)
        self.assertEqual(self.codes(host), {f"reloaded {RELOADS}"})
        self.assertEqual(clients.stop(), {}, host.log())
        # Whoever dies now is replaced by the code that serves, whatever lies in the file.
        os.kill(min(before), signal.SIGKILL)
        until("it is replaced", lambda: len(self.workers(host)) == 2 and self.workers(host) != before)
        until("with the old code", lambda: self.codes(host) == {f"reloaded {RELOADS}"})
        self.code("4")
        host.signal(signal.SIGHUP)
        until("the mended code answers", lambda: self.codes(host) == {"4"})

    def test_what_does_not_start(self) -> None:
        for source, said in (
            (
                "raise ValueError('boom')\n",
                "(?s)ValueError: boom.*salver: error: shop:app: ValueError while it was",
            ),
            (
                STARTS_A_THREAD,
                r"salver: error: --preload: what was imported has started threads \(1\), and",
            ),
        ):
            self.folder.write("shop.py", source)
            with self.subTest(source), self.assertRaisesRegex(AssertionError, said):
                self.host()

    def test_the_supervisor_is_killed(self) -> None:
        host = self.host()
        everybody = children(host.process.pid)
        self.assertEqual(len(everybody), 4)
        os.kill(host.process.pid, signal.SIGKILL)
        until("nobody is left", lambda: not any(map(is_alive, everybody)), 3)

    def test_factories_and_asynchronous_applications(self) -> None:
        host = self.host(
            "--mount", "/more=shop:make()", "--mount", "/async=shop:asynchronous", target="shop:make()"
        )
        [original] = self.noted("imports")
        self.assertEqual(self.noted("made"), [original, original], "each mount once, and no worker makes any")
        for path in ("/", "/more"):
            self.assertIn(int(host.get(path).header("X-Pid") or 0), self.workers(host))
        self.assertIn(int(host.get("/async").body), self.workers(host))

    def test_hooks_and_limits(self) -> None:
        self.folder.write(
            "hooks.py",
            "import os, sys\n\ndef post_fork(server, worker):\n    print('forked', server.pid, worker.pid, file=sys.stderr)\n",
        )
        host = self.host("--hooks", "hooks.py", "--max-requests", "20", workers=1)
        until("when_ready has been looked for", lambda: len(self.workers(host)) == 1)
        [first] = self.workers(host)
        host.tells(f"forked {host.process.pid} {first}\n")
        until("it has done enough", lambda: self.codes(host) == {"1"} and first not in self.workers(host))
        self.assertEqual(len(self.noted("imports")), 1)

    def test_beside_reload_each_imports(self) -> None:
        host = self.host("--reload", workers=2)
        until("both have imported", lambda: set(self.noted("imports")) == set(children(host.process.pid)))

    def test_hooks_that_are_no_good(self) -> None:
        self.folder.write("hooks.py", "def (\n")
        with self.assertRaises(AssertionError) as refused:
            self.host("--hooks", "hooks.py", workers=1)
        self.assertEqual(str(refused.exception).count("salver: error: hooks.py: SyntaxError while it ran"), 1)
        self.assertNotIn("_gunicorn.py", str(refused.exception), "no traceback of ours")
        self.folder.write("hooks.py", "def on_exit(server):\n    raise ValueError('boom')\n")
        host = self.host("--hooks", "hooks.py", workers=1)
        host.signal(signal.SIGTERM)
        self.assertEqual(host.wait(), 0)
        host.tells("salver: error: hooks.py: ValueError while on_exit ran")

    def test_a_hook_that_still_runs_ends_with_the_server(self) -> None:
        self.folder.write(
            "hooks.py",
            "import os, time\n\ndef when_ready(server):\n"
            "    with open('hook', 'w') as file:\n        file.write(str(os.getpid()))\n    time.sleep(100)\n",
        )
        host = self.host("--hooks", "hooks.py", workers=1)
        noted = self.folder.path / "hook"
        until("it runs", lambda: noted.exists() and noted.read_text() != "")
        hook = int(noted.read_text())
        host.signal(signal.SIGTERM)
        self.assertEqual(host.wait(), 0)
        until("it ends", lambda: not is_alive(hook), 5)
