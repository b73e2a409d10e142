"""A supervisor and its workers, seen from outside; and clients that count what failed."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support import Case, Server, Started, Wire, until


def children(pid: int) -> list[int]:
    """The processes that this one started and has not waited for."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):  # a child is that of a thread
        try:
            found += [int(word) for word in path.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            pass
    return sorted(found)


def is_alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def descriptors(pid: int) -> int:
    """How many files the process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


class Clients:
    """Clients that ask for `paths` in turn, some on kept connections and some on new ones, until they are stopped.

    A kept connection that the server closes where HTTP lets it (after `Connection: close`) is opened anew. Everything else that is
    not the answer asked for is a failure.
    """

    def __init__(self, server: Started, paths: dict[str, bytes], kept: int = 2, new: int = 2) -> None:
        self._server = server
        self._paths = paths
        self._stop = threading.Event()
        self.failures: Counter[str] = Counter()
        self.done = 0
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(number < kept,), daemon=True)
            for number in range(kept + new)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, keep: bool) -> None:
        done, failures = 0, Counter[str]()
        wire: Wire | None = None
        while not self._stop.is_set():
            for path, body in self._paths.items():
                try:
                    wire = wire or self._server.connect()
                    answer = wire.ask("GET", path, {} if keep else {"Connection": "close"})
                    if answer.status != 200 or answer.body != body:
                        failures[f"{path}: {answer!r}"] += 1
                    closes = not keep or (answer.header("Connection") or "").lower() == "close"
                except OSError as error:
                    failures[f"{path}: {error!r}"] += 1
                    closes = True
                if closes and wire is not None:
                    wire.close()
                    wire = None
                done += 1
            with self._lock:
                self.done += done
                done = 0
        if wire is not None:
            wire.close()
        with self._lock:
            self.failures += failures

    def reached(self, count: int) -> bool:
        """Whether so many requests were made."""
        return self.done >= count

    def stop(self) -> Counter[str]:
        """Stop and say what failed."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return self.failures


class CrewCase(Case):
    """A test of a server with workers."""

    def crew(self, *options: str, workers: int = 2, **keywords: Any) -> Server:
        """A supervisor whose workers can answer."""
        server = self.serve("--workers", str(workers), "--access-log", "off", *options, **keywords)
        until("all workers run", lambda: len(children(server.pid)) == workers)
        return server

    def assertGone(self, pids: list[int], seconds: float) -> None:
        """All these processes end."""
        until(f"{pids} end", lambda: not any(map(is_alive, pids)), seconds)

    def replaced(self, server: Server, before: list[int]) -> None:
        """Wait until none of the workers of before is left and as many others run."""
        until(
            "every worker is replaced",
            lambda: not set(before) & set(children(server.pid)) and len(children(server.pid)) == len(before),
        )

    def slow_script(self, seconds: float) -> str:
        """The path of a script whose answer takes so long."""
        path = self.folder.write(
            "cgi-bin/slow", f"#!/bin/sh\nsleep {seconds}\nprintf 'Content-Type: text/plain\\n\\nslow'\n"
        )
        path.chmod(0o755)
        return "/cgi-bin/slow"

    def kill(self, pid: int) -> None:
        """kill -9."""
        os.kill(pid, signal.SIGKILL)
