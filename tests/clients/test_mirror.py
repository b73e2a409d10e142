"""Real input: thousands of files of a registry's sources or the toolchain's documentation, mirrored by their listings."""

from __future__ import annotations

import http.client
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

from tests.differential.outcome import Listing
from tests.support import PATIENCE, Case, Server, fail

MOST_FILES = 5_000
CLIENTS = 8


def real_trees() -> Iterator[Path]:
    """Trees of many files that a machine with a Rust toolchain has: crates first, then documentation."""
    cargo = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    yield from sorted(cargo.glob("registry/src/*/*"))
    rustc = shutil.which("rustc")
    if rustc:
        sysroot = subprocess.run(
            [rustc, "--print", "sysroot"], capture_output=True, text=True, check=True
        ).stdout.strip()
        yield from sorted(Path(sysroot, "share/doc/rust/html").glob("*/"))
        yield Path(sysroot, "lib/rustlib")


class Mirror(threading.Thread):
    """One of the clients: a kept connection, a folder or file at a time from the common queue."""

    def __init__(self, server: Server, work: queue.Queue[str], found: dict[bytes, bytes]) -> None:
        super().__init__()
        self.connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
        self.work = work
        self.found = found
        self.error: Exception | None = None

    def run(self) -> None:
        """Until nothing is left to do; `None` in the queue says so."""
        while (url := self.work.get()) != "":
            try:
                if self.error is None:
                    self.fetch(url)
            except Exception as error:  # noqa: BLE001 (shown by the test; the queue must be emptied all the same)
                self.error = error
            finally:
                self.work.task_done()
        self.connection.close()

    def fetch(self, url: str) -> None:
        """A file's content is kept; a folder's links become work."""
        self.connection.request("GET", url)
        response = self.connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise AssertionError(f"{url}: {response.status} {response.reason}")
        if not url.endswith("/"):
            self.found[unquote_to_bytes(url)] = body
            return
        listing = body.partition(b'<section class="doc"')[0]  # a README below it has links of its own
        for href, _ in Listing(listing).entries:
            self.work.put(url + href.removeprefix("./"))


class RealTree(Case):
    """Every file arrives as it is, and no other."""

    def setUp(self) -> None:
        super().setUp()
        self.files: dict[bytes, Path] = {}
        for tree in real_trees():
            if len(self.files) >= MOST_FILES:
                break
            self.copy(tree)
        if len(self.files) < 1_000:
            fail(
                "no tree of a thousand files: neither a cargo registry nor a toolchain's documentation is here"
            )

    def copy(self, tree: Path) -> None:
        """Copy into the served folder; an index.html would hide the listing, so it gets another name."""
        for source in sorted(tree.rglob("*")):
            if source.is_file() and len(self.files) < MOST_FILES:
                relative = f"{tree.name}/{source.relative_to(tree)}".replace("index.htm", "contents.htm")
                copied = self.folder.write(relative, source.read_bytes())
                self.files[os.fsencode(f"/{relative}")] = copied

    def test_mirror_byte_for_byte(self) -> None:
        server = self.serve("--hidden")
        work: queue.Queue[str] = queue.Queue()
        found: dict[bytes, bytes] = {}
        work.put("/")
        clients = [Mirror(server, work, found) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        work.join()
        for client in clients:
            work.put("")
        for client in clients:
            client.join()
        self.assertEqual([client.error for client in clients if client.error], [])
        self.assertEqual(set(found), set(self.files))
        wrong = [name for name, path in self.files.items() if path.read_bytes() != found[name]]
        self.assertEqual(wrong, [])
        print(f"{len(found)} files, {sum(map(len, found.values())):,} bytes", flush=True)
