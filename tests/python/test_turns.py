"""Turns: a slow application holds up nothing else, `--threads` bounds it, and nothing is kept in memory whole."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

from tests.python.hosting import Host, OwnHosts, on_every_python
from tests.support import Wire, until

MEGABYTE = 1 << 20
TRIES = 3  # the machine may be busy with something else: one calm window is enough


def p99(times: list[float]) -> float:
    """The 99th percentile, in milliseconds."""
    return sorted(times)[int(len(times) * 0.99)] * 1000


def timed(wire: Wire, path: str, count: int) -> list[float]:
    """Seconds of each of `count` answers on a kept connection."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        assert wire.ask("GET", path).status == 200
        times.append(time.perf_counter() - start)
    return times


class Turns(OwnHosts):
    """Each test starts hosts of its own, with a folder mounted at /mounted."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.temporary()
        self.folder.write("file.txt", "file")

    def start(self, *options: str) -> Host:
        """A host with a mounted folder."""
        return self.serve("turning:app", f"--mount=/mounted=files:{self.folder.path}", *options)

    def asked(self, stack: ExitStack, path: str, count: int, head: str = "", body: bytes = b"") -> list[Wire]:
        """So many connections that have sent a request; `stack` closes them."""
        method = "POST" if head else "GET"
        request = f"{method} {path} HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode() + body
        return [stack.enter_context(self.host.connect()).send(request) for _ in range(count)]

    def assertQuick(self, path: str, at_most: float) -> None:
        """The p99 of a path's answers is at most so many milliseconds in one of some windows."""
        seen = []
        with self.host.connect() as wire:
            timed(wire, path, 20)
            for _ in range(TRIES):
                seen.append(p99(timed(wire, path, 300)))
                if seen[-1] <= at_most:
                    break
        print(f"{self.token}: p99 {seen} ms", flush=True)
        self.assertLessEqual(seen[-1], at_most)


class SlowViews(Turns):
    """With every application thread in a slow view, the rest goes on."""

    def assertFilesGoOn(self, threads: int, count: int) -> None:
        """`count` slow views on `threads` threads, and a mounted file that is asked for meanwhile."""
        self.start("--threads", str(threads))
        with ExitStack() as stack:
            slow = self.asked(stack, self.path("busy", "seconds=2"), count)
            until("all are in", lambda: self.host.established() >= count)
            self.assertQuick("/mounted/file.txt", at_most=5)
            self.assertEqual(slow[0].answer().body, b"done")

    def test_files_while_every_thread_is_busy(self) -> None:
        self.assertFilesGoOn(threads=4, count=8)

    def test_files_while_the_only_thread_is_busy(self) -> None:
        self.assertFilesGoOn(threads=1, count=3)

    def test_fast_views_beside_slow_ones(self) -> None:
        self.start("--threads", "8")
        with ExitStack() as stack:
            slow = self.asked(stack, self.path("held"), 5)
            until("all are in", lambda: len(self.events()) == 5)
            self.assertQuick("/hello", at_most=10)
            for _ in slow:
                self.host.release(self.token)
            self.assertEqual([wire.answer().body for wire in slow], [b"done"] * 5)

    def test_views_that_compute(self) -> None:
        self.start("--threads", "4")
        with ExitStack() as stack:
            spinning = self.asked(stack, self.path("spins", "seconds=1"), 2)
            with self.host.connect() as wire:
                times = timed(wire, "/mounted/file.txt", 100)
            self.assertLess(sorted(times)[50], 0.5, "files are served beside a held GIL")
            for wire in spinning:
                self.assertEqual(wire.answer().status, 200)

    def test_the_first_answer_does_not_wait_for_the_second(self) -> None:
        self.start("--threads", "4")
        with ExitStack() as stack:
            (wire,) = self.asked(stack, self.path("held"), 1)
            until("it is in", lambda: self.events() == ["in"])
            self.assertServes()
            self.host.release(self.token)
            self.assertEqual(wire.answer().body, b"done")


class Bound(Turns):
    """`--threads N`: never more than N at once, and N if there are so many."""

    def most(self) -> int:
        """The most that were at work at once."""
        number: int = json.loads(self.host.get("/most").body)[0]
        return number

    def test_bounds(self) -> None:
        for threads in (1, 2, 3):
            with self.subTest(threads=threads), ExitStack() as stack:
                self.start("--threads", str(threads))
                wires = self.asked(stack, self.path("busy"), 4 * threads)
                wires += self.asked(stack, self.path("busy_iterator"), 2 * threads)
                self.assertEqual({wire.answer().body for wire in wires}, {b"done", b"step step step "})
                self.assertEqual(self.most(), threads)

    def test_one_thread_is_always_the_same_count(self) -> None:
        self.start("--threads", "1")
        with ExitStack() as stack:
            for wire in self.asked(stack, self.path("busy", "seconds=0.01"), 20):
                self.assertEqual(wire.answer().body, b"done")
        self.assertEqual(self.most(), 1)

    def test_the_default(self) -> None:
        self.start()
        threads = min(32, 4 * len(os.sched_getaffinity(0)) + 1)
        with ExitStack() as stack:
            wires = self.asked(stack, self.path("busy", "seconds=0.5"), threads + 8)
            for wire in wires:
                self.assertEqual(wire.answer().body, b"done")
        self.assertEqual(self.most(), threads)


class SlowClients(Turns):
    """A slow client holds no application thread."""

    def test_uploads(self) -> None:
        self.start("--threads", "2")
        with ExitStack() as stack:
            wires = self.asked(stack, self.path("reads_some"), 6, "Content-Length: 10\r\n", b"123")
            until("they are connected", lambda: self.host.established() >= 6)
            for _ in range(20):
                self.assertServes()
            for wire in wires:
                self.assertEqual(wire.send(b"4567890").answer().body, b"67890")

    def test_downloads(self) -> None:
        self.start("--threads", "2")
        with ExitStack() as stack:
            wires = self.asked(stack, self.path("endless"), 6)
            for wire in wires:
                self.assertEqual(wire.head().status, 200)
            for _ in range(20):
                self.assertServes()

    def test_written_downloads(self) -> None:
        self.start("--threads", "2")
        with ExitStack() as stack:
            wires = self.asked(stack, self.path("big", f"as=write&size={32 * MEGABYTE}"), 6)
            for wire in wires:
                self.assertEqual(wire.head().status, 200)
            for _ in range(20):
                self.assertServes()
            for wire in wires:
                self.assertEqual(len(wire.file.read(32 * MEGABYTE)), 32 * MEGABYTE)

    def test_slow_uploads_with_one_thread_end(self) -> None:
        self.start("--threads", "1")
        with ExitStack() as stack:
            (wire,) = self.asked(stack, self.path("reads_some"), 1, "Content-Length: 10\r\n", b"123")
            with self.host.connect() as other:
                self.assertEqual(other.ask("GET", "/mounted/file.txt").body, b"file")
            self.assertEqual(wire.send(b"4567890").answer().body, b"67890")
            self.assertServes()


class Memory(Turns):
    """What is large is streamed."""

    GROWTH = 40 * MEGABYTE

    def assertGrows(self, work: Callable[[], None]) -> None:
        """Memory grows by less than 40 MB while `work` is done."""
        self.assertServes()
        before, most, done = self.host.memory(), 0, threading.Event()

        def watch() -> None:
            nonlocal most
            while not done.wait(0.02):
                most = max(most, self.host.memory() - before)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            work()
        finally:
            done.set()
            watcher.join()
        print(f"{self.token}: grew by {most / MEGABYTE:.1f} MB", flush=True)
        self.assertLess(most, self.GROWTH)
        self.assertServes()

    def test_an_upload_echoed(self) -> None:
        self.start()
        size, block = 64 * MEGABYTE, os.urandom(MEGABYTE)

        def work() -> None:
            with self.host.connect() as wire:
                wire.send(
                    f"POST {self.path('echo')} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
                )
                sender = threading.Thread(target=lambda: [wire.send(block) for _ in range(64)])
                sender.start()
                self.assertEqual(wire.head().header("Content-Length"), str(size))
                for _ in range(64):
                    self.assertTrue(wire.file.read(MEGABYTE) == block)
                sender.join()

        self.assertGrows(work)

    def test_an_upload_to_a_slow_view(self) -> None:
        self.start()
        wires: list[Wire] = []

        def work() -> None:
            wire = self.host.connect()
            wires.append(wire)
            wire.send(
                f"POST {self.path('held')} HTTP/1.1\r\nHost: x\r\nContent-Length: {64 * MEGABYTE}\r\n\r\n".encode()
            )
            wire.socket.settimeout(1)
            sent, block = 0, bytes(MEGABYTE)
            try:
                for _ in range(64):
                    wire.socket.sendall(block)
                    sent += 1
            except TimeoutError:
                pass
            self.assertLess(sent, 64, "the kernel holds the client back")

        self.assertGrows(work)
        self.host.release(self.token)
        wires[0].close()

    def test_a_download(self) -> None:
        self.start()
        size = 200 * MEGABYTE

        def work() -> None:
            for kind in ("iterator", "write"):
                with self.host.connect() as wire:
                    wire.send(f"GET {self.path('big', f'size={size}&as={kind}')} HTTP/1.0\r\n\r\n".encode())
                    self.assertEqual(wire.head().header("Content-Length"), str(size))
                    count = 0
                    while piece := wire.file.read(MEGABYTE):
                        count += len(piece)
                    self.assertEqual(count, size)

        self.assertGrows(work)


class Leaving(Turns):
    """Clients that leave at any point."""

    def points(self) -> list[Wire]:
        """A connection at each point at which a client may leave."""
        half = b"half of what was announced"
        wires = []
        with ExitStack() as stack:
            wires += self.asked(stack, self.path("hello"), 2)
            wires += self.asked(stack, self.path("reads_all"), 1, "Content-Length: 100\r\n", half)
            wires += self.asked(
                stack, self.path("reads_all"), 1, "Transfer-Encoding: chunked\r\n", b"64\r\nhalf"
            )
            wires += self.asked(stack, self.path("reads_nothing"), 1, "Content-Length: 100\r\n", half)
            wires += self.asked(
                stack, self.path("reads_all"), 1, "Content-Length: 9\r\nExpect: 100-continue\r\n"
            )
            wires += self.asked(stack, self.path("busy"), 2)
            wires += self.asked(stack, self.path("endless"), 1)
            wires += self.asked(stack, self.path("big", f"size={8 * MEGABYTE}&as=write"), 1)
            wires += self.asked(
                stack, self.path("echo"), 1, f"Content-Length: {8 * MEGABYTE}\r\n", bytes(MEGABYTE)
            )
            reading = self.asked(stack, self.path("endless"), 1)
            reading[0].head()
            reading[0].file.read(MEGABYTE)
            stack.pop_all()
        return wires + reading

    def test_resets(self) -> None:
        self.start("--threads", "6")
        for wire in self.points():
            wire.reset()
        until("the first round ends", lambda: self.host.established() == 0)
        self.assertServes()
        until("its connection ends", lambda: self.host.established() == 0)
        descriptors, threads = self.host.descriptors(), self.host.threads()
        for _ in range(10):
            for wire in self.points():
                wire.reset()
        until("descriptors are back", lambda: self.host.descriptors() <= descriptors)
        until("threads are back", lambda: self.host.threads() <= threads + 6)
        with ExitStack() as stack:
            for wire in self.asked(stack, self.path("busy"), 12):
                self.assertEqual(wire.answer().body, b"done", "every thread works")
        start, spent = time.monotonic(), self.host.cpu_seconds()
        time.sleep(1)  # the time over which the idle server is measured
        self.assertLess((self.host.cpu_seconds() - spent) / (time.monotonic() - start), 0.05, "idle CPU")
        self.assertServes()
        self.assertNotRegex(self.host.log(), "(?i)panic")


load_tests = on_every_python((Bound,), (SlowViews, SlowClients, Memory, Leaving))
