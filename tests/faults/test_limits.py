"""The machine's limits: descriptors and disk."""

from __future__ import annotations

import os
import time

from tests.clock import moved_clock
from tests.support import Case, Wire, raise_descriptor_limit, require, until

LIMIT = 64


class Descriptors(Case):
    """Out of file descriptors: no spinning, no silence for those already here, back as soon as some are free."""

    def test_out_of_descriptors(self) -> None:
        self.folder.write("file.txt", "x")
        server = self.serve(
            "--keep-alive", "600", launcher=[require("prlimit", "util-linux"), f"--nofile={LIMIT}"]
        )
        kept = server.connect()
        self.addCleanup(kept.close)
        self.assertEqual(kept.ask("GET", "/file.txt").status, 200)
        wires = [server.connect() for _ in range(2 * LIMIT)]
        until("its descriptors are used up", lambda: server.descriptors() >= LIMIT - 8)
        lines, start, spent = server.log().count("\n"), time.monotonic(), server.cpu_seconds()
        time.sleep(3)  # the time over which the starved server is measured
        elapsed = time.monotonic() - start
        self.assertLess((server.cpu_seconds() - spent) / elapsed, 0.10, "CPU while starved")
        self.assertLessEqual(server.log().count("\n") - lines, elapsed + 1, server.log())
        self.assertEqual(kept.ask("GET", "/file.txt").body, b"x", "an open connection is served")
        for wire in wires:
            wire.reset()
        took = until("it accepts again", lambda: self.answers(server.connect()), 2)
        print(f"recovered after {took:.2f} s", flush=True)
        self.assertAlive(server)

    def answers(self, wire: Wire) -> bool:
        """Whether a request on this new connection is answered soon."""
        with wire:
            wire.socket.settimeout(0.5)
            try:
                return wire.ask("GET", "/file.txt").status == 200
            except OSError:
                return False

    def test_soft_limit_is_raised_at_start(self) -> None:
        self.folder.write("file.txt", "x")
        hard = raise_descriptor_limit()
        server = self.serve(launcher=[require("prlimit", "util-linux"), f"--nofile=64:{min(hard, 1024)}"])
        wires = [server.connect() for _ in range(200)]
        for wire in wires:
            self.addCleanup(wire.close)
            self.assertEqual(wire.ask("GET", "/file.txt").status, 200)

    def test_files_that_are_kept_open_are_few(self) -> None:
        names = [f"{number}.bin" for number in range(400)]
        for name in names:
            self.folder.write(name, name.encode().ljust(16_384))
        setting = self.folder.write("clock", "+0d\n")
        launcher = [require("prlimit", "util-linux"), "--nofile=4096"]
        server = self.serve(environment=moved_clock(setting), launcher=launcher)
        wire = server.connect()
        self.addCleanup(wire.close)

        def ask(name: str, times: int) -> None:
            wire.send(f"GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * times)
            for _ in range(times):
                self.assertEqual(wire.answer().body, name.encode().ljust(16_384))

        def kept() -> int:
            """How many of them are open."""
            folder = f"/proc/{server.pid}/fd"
            paths = [os.readlink(f"{folder}/{number}") for number in os.listdir(folder)]
            return sum(path.endswith(".bin") for path in paths)

        def kept_when_hot() -> int:
            """The same, once so much was asked for each of them at once."""
            for name in names:
                ask(name, 40)
            return kept()

        self.assertEqual(kept_when_hot(), 0, "what was just written may be written again")
        setting.write_text("+1d\n")
        for name in names * 2:
            ask(name, 1)
        self.assertEqual(kept(), 0, "what is asked for now and then keeps nothing open")
        until("files are kept open", lambda: kept_when_hot() >= 64)
        self.assertLessEqual(kept(), 128)


class Disk(Case):
    """The disk of the log is full: serving goes on."""

    def test_log_disk_full(self) -> None:
        self.folder.write("file.txt", "x")
        server = self.serve("--access-log", "/dev/full")
        for _ in range(500):
            self.assertEqual(server.get("/file.txt").body, b"x")
        until("the drops are told", lambda: bool(server.log().strip()))
        self.assertLess(server.log().count("\n"), 50, "not a line a request")

    def test_standard_error_full(self) -> None:
        self.folder.write("file.txt", "x")
        server = self.serve(stderr="/dev/full")
        for _ in range(500):
            self.assertEqual(server.get("/file.txt").body, b"x")
        self.assertAlive(server)

    def test_standard_error_that_nobody_reads(self) -> None:
        self.folder.write("file.txt", "x")
        fifo = self.folder.path / "stderr.fifo"
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        server = self.serve(stderr=fifo)
        with server.connect() as wire:
            for number in range(3000):
                self.assertEqual(
                    wire.ask("GET", f"/file.txt?{number:0100}").body, b"x", "a full pipe holds up nobody"
                )
