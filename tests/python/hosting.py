"""A hosted application: `python -m salver TARGET` in an environment, and what a test asks of it.

`TEST_HOST=gunicorn` (or another name of oracles.py) puts that server in salver's place: to see what a test says of a
server that is not ours.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import socket
import unittest
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from tests.python.carriers import Carrier, Http2, Http2Tls, Tls
from tests.python.environments import Python, newest, pythons
from tests.support import PATIENCE, Answer, Folder, Started, StrPath, Wire, until

APPS = Path(__file__).with_name("apps")
HOST = os.environ.get("TEST_HOST", "salver")
TRACEBACK = "Traceback (most recent call last)"


@final
class Host(Started):
    """A started server of an application; `target` is looked up in `folder`."""

    _marks = itertools.count()

    def __init__(
        self,
        target: str,
        *options: str,
        python: Python | None = None,
        folder: StrPath = APPS,
        environment: Mapping[str, str] | None = None,
        server: str = HOST,
        carrier: Carrier | None = None,
    ) -> None:
        program = str((python or newest()).program)
        self.carrier = carrier or Carrier()
        super().__init__(
            command(program, target, *options, *self.carrier.options, server=server),
            environment={"PYTHONDONTWRITEBYTECODE": "1", **(environment or {})},
            cwd=folder,
        )

    def connect(self) -> Wire:
        """A new connection, whatever carries it."""
        sock = socket.create_connection((self.host, self.port), PATIENCE)
        address = sock.getsockname()
        return Wire(self.carrier.wrap(sock), address)

    @property
    def pid(self) -> int:
        """The process that runs the application: the worker, where a supervisor was started."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0]) if children else self.process.pid

    def mark(self) -> int:
        """Where the log ends, once it has all that was answered before."""
        name = f"/hello?mark={next(self._marks)}"
        self.get(name)
        self.tells(name)
        return len(self.log())

    def events(self, token: str) -> list[str]:
        """What the application noted under a token."""
        noted: list[str] = json.loads(self.get(f"/events?t={token}").body)
        return noted

    def release(self, token: str) -> None:
        """Let an application go on that waits for its token."""
        assert self.get(f"/release?t={token}").status == 200

    def wait_for(self, token: str, event: str) -> list[str]:
        """All events of a token, once `event` is among them."""
        until(f"event {event} among {self.events(token)}", lambda: event in self.events(token))
        return self.events(token)


def command(program: str, target: str, *options: str, server: str = HOST) -> list[str]:
    """The command line of a host."""
    if server == "salver":
        return [program, "-m", "salver", target, "--bind", "127.0.0.1:0", *options]
    return [program, str(Path(__file__).with_name("oracles.py")), server, target, *options]


class HostCase(unittest.TestCase):
    """Tests that share one host of `TARGET`; every test has a token of its own."""

    TARGET = "conformance:app"
    OPTIONS: tuple[str, ...] = ()
    CARRIER: type[Carrier] = Carrier
    MARKS = True  # whether the log has a line for /hello
    python: Python
    carrier: Carrier = Carrier()
    host: Host
    _numbers = itertools.count()

    @classmethod
    def setUpClass(cls) -> None:
        cls.carrier = cls.CARRIER()
        cls.addClassCleanup(cls.carrier.close)
        cls.host = Host(cls.TARGET, *cls.OPTIONS, python=cls.python, carrier=cls.carrier)
        cls.addClassCleanup(cls.host.__exit__)

    def setUp(self) -> None:
        self.token = f"{self.id().rsplit('.', 1)[-1]}-{next(self._numbers)}"
        self.mark = self.host.mark() if self.MARKS else 0

    def serve(self, target: str, *options: str, **keywords: Any) -> Host:
        """A host of this test alone."""
        host = Host(target, *options, **{"python": self.python, "carrier": self.carrier, **keywords})
        self.addCleanup(host.__exit__)
        return host

    def temporary(self) -> Folder:
        """A folder of this test alone."""
        folder = Folder()
        self.addCleanup(folder.remove)
        return folder

    def path(self, name: str, query: str = "") -> str:
        """The target of a route, with this test's token."""
        return f"/{name}?t={self.token}" + (f"&{query}" if query else "")

    def get(self, name: str, query: str = "", method: str = "GET", **headers: str) -> Answer:
        """Ask a route on a connection of its own."""
        with self.host.connect() as wire:
            return wire.ask(method, self.path(name, query), {**headers, "Connection": "close"})

    def send(self, wire: Wire, name: str, head: str = "", body: bytes = b"", method: str = "POST") -> Wire:
        """Send a request with a body as it stands."""
        line = f"{method} {self.path(name)} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n"
        return wire.send(line.encode("latin-1") + body)

    def reason(self, told: str) -> str:
        """The reason phrase that reaches a client; HTTP/2 has none."""
        return told if self.carrier.version == "HTTP/1.1" else ""

    def access_line(self, request: str) -> str:
        """A pattern of the access log's line for a request, up to its status."""
        return rf'"{request} {re.escape(self.carrier.version)}" '

    def events(self) -> list[str]:
        """What the application noted for this test."""
        return self.host.events(self.token)

    def logged(self) -> str:
        """The log since the test began."""
        return self.host.log()[self.mark :]

    def assertLogged(self, pattern: str, tracebacks: int | None = None) -> None:
        """The log has, or will have, a match; and so many tracebacks since the test began."""
        until(f"{pattern!r} in {self.logged()!r}", lambda: re.search(pattern, self.logged()) is not None)
        if tracebacks is not None:
            self.assertEqual(self.logged().count(TRACEBACK), tracebacks, self.logged())

    def assertServes(self) -> None:
        """The process is alive and the next request is clean."""
        self.assertIsNone(self.host.process.poll(), self.host.log())
        answer = self.host.get("/hello")
        self.assertEqual((answer.status, answer.body), (200, b"Hello, world!"))


class OwnHosts(HostCase):
    """Tests that start hosts of their own; `host` is the one that was started last."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.carrier = cls.CARRIER()
        cls.addClassCleanup(cls.carrier.close)

    def setUp(self) -> None:
        self.token = f"{self.id().rsplit('.', 1)[-1]}-{next(self._numbers)}"
        self.mark = 0

    def serve(self, target: str, *options: str, **keywords: Any) -> Host:
        """A host of this test alone, which is asked from now on."""
        self.host = super().serve(target, *options, **keywords)
        return self.host


Loader = Callable[[unittest.TestLoader, Any, Any], unittest.TestSuite]


def on_every_python(core: Sequence[type[HostCase]], newest_only: Sequence[type[HostCase]] = ()) -> Loader:
    """A module's `load_tests`: `core` once for each CPython, the others with the newest alone."""

    def load_tests(loader: unittest.TestLoader, _: Any, __: Any) -> unittest.TestSuite:
        suite = unittest.TestSuite()
        chosen = [(case, python, f"_{python}") for case in core for python in pythons()]
        chosen += [(case, newest(), "") for case in newest_only]
        for case, python, suffix in chosen:
            members = {"python": python, "__module__": case.__module__, "__doc__": case.__doc__}
            suite.addTests(loader.loadTestsFromTestCase(type(case.__name__ + suffix, (case,), members)))
        return suite

    return load_tests


def on_every_carrier(tables: Sequence[type[HostCase]], of_http_1: Sequence[str]) -> Loader:
    """A module's `load_tests`: each of `tables` within TLS and by HTTP/2; there without the tests `of_http_1` alone."""

    def load_tests(loader: unittest.TestLoader, _: Any, __: Any) -> unittest.TestSuite:
        suite = unittest.TestSuite()
        carriers: tuple[type[Carrier], ...] = (Tls, Http2, Http2Tls)
        for carrier in carriers:
            for case in tables:
                members: dict[str, Any] = {
                    "python": newest(),
                    "CARRIER": carrier,
                    "__module__": case.__module__,
                }
                if carrier.version == "HTTP/2.0":
                    members |= {name: None for name in of_http_1 if hasattr(case, name)}
                chosen = type(f"{case.__name__}_{carrier.__name__}", (case,), members)
                suite.addTests(loader.loadTestsFromTestCase(chosen))
        return suite

    return load_tests
