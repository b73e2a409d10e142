"""A server that runs: started on its core, found on its port, ended by its process id."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port

from bench.client import HOST, Failed
from bench.loads import Load
from bench.process import Tree
from bench.servers import Place, Port, Server

START_SECONDS = 10.0
#: Where servers are started: some can be told in no other way where an application is.
APPLICATIONS = Path(__file__).with_name("applications")
STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Surroundings:
    """What all starts of one run share."""

    programs: Mapping[str, str]  #: name → path
    build: Path  #: build/bench
    server_core: int
    seconds: int  #: of load, per measurement

    @property
    def root(self) -> Path:
        """The folder that is served."""
        return self.build / "www"

    @property
    def answer(self) -> Path:
        """The floor's fixed answer."""
        return self.build / "answer"


@dataclass(frozen=True)
class Running:
    """A server that accepts connections."""

    port: int
    tree: Tree
    begun: float  #: time.perf_counter() when it was started


@contextmanager
def running(server: Server, around: Surroundings, load: Load | None = None) -> Iterator[Running]:
    """Starts a server and ends it, whatever happens between."""
    with tempfile.TemporaryDirectory(prefix=f"{server.name}-", dir=around.build) as scratch:
        place = Place(
            around.programs[server.program],
            around.root,
            Path(scratch),
            free_port(),
            around.answer,
            load.application if load else "",
            load.threads if load else 0,
        )
        command = ["taskset", "-c", str(around.server_core), *server.command(place)]
        said = place.scratch / "stderr"
        with said.open("wb") as stderr:
            begun = time.perf_counter()
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=APPLICATIONS,
                env={name: value for name, value in os.environ.items() if not name.startswith("SALVER_")},
                start_new_session=True,
            )
        try:
            yield Running(_find_port(process, server, place.port, said), Tree(process.pid), begun)
        finally:
            _stop(process)


def raise_open_files() -> None:
    """Lets servers have as many descriptors as this process may have: they inherit the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _find_port(process: subprocess.Popen[bytes], server: Server, chosen: int, said: Path) -> int:
    deadline = time.monotonic() + START_SECONDS
    printed = b""
    while time.monotonic() < deadline and process.poll() is None:
        if server.port is Port.CHOSEN and _accepts(chosen):
            return chosen
        if server.port is Port.PRINTED:
            printed += _printed(process)
            line = re.search(rb"^Serving HTTPS? on .* port (\d+) .*\n", printed, re.MULTILINE)
            if line:
                return int(line.group(1))
    lines = said.read_text(errors="replace").strip().splitlines()
    raise Failed(f"{server.name} did not start: {lines[-1] if lines else 'it said nothing'}")


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        time.sleep(0.0005)
        return False
    return True


def _printed(process: subprocess.Popen[bytes]) -> bytes:
    """What came on standard output within 50 ms."""
    assert process.stdout is not None, "it is a pipe"
    ready, _, _ = select.select([process.stdout], [], [], 0.05)
    return os.read(process.stdout.fileno(), 65536) if ready else b""


def _stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the server; what is left of its tree after a while is killed, each by its id."""
    tree = Tree(process.pid)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    for pid in tree.pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
