"""Slow heads, slow bodies, idle connections, clients that never read, clients that reset."""

from __future__ import annotations

import socket
import time

from tests.support import Answer, Case, Server, Wire, until

EARLIEST = 0.9  # of the one second that the options below give
LATEST = 4.0  # on a busy machine
MEGABYTE = 1 << 20


class Slow(Case):
    """Every limit is set to one second; the connection must end after it, not before."""

    def setUp(self) -> None:
        super().setUp()
        self.folder.write("file.txt", "x")

    def assertEndsInTime(self, wire: Wire, start: float) -> bytes:
        """The server closes within the limit; what it sent before."""
        rest = wire.rest(LATEST + 1)
        took = time.monotonic() - start
        self.assertGreaterEqual(took, EARLIEST)
        self.assertLessEqual(took, LATEST)
        return rest

    def test_head_that_stops(self) -> None:
        server = self.serve("--header-timeout", "1")
        for sent in (b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n"):
            with self.subTest(sent=sent), server.connect() as wire:
                start = time.monotonic()
                rest = self.assertEndsInTime(wire.send(sent), start)
                self.assertRegex(rest, rb"^$|^HTTP/1\.1 408 ")

    def test_silent_connection(self) -> None:
        server = self.serve("--header-timeout", "1")
        with server.connect() as wire:
            self.assertRegex(self.assertEndsInTime(wire, time.monotonic()), rb"^$|^HTTP/1\.1 408 ")

    def test_head_that_drips_is_not_given_more_time(self) -> None:
        server = self.serve("--header-timeout", "1")
        with server.connect() as wire:
            start = time.monotonic()
            wire.send(b"GET / HTTP/1.1\r\nX: ")
            wire.socket.settimeout(0.1)
            rest = None
            while rest is None and time.monotonic() - start < LATEST:
                try:
                    wire.send(b"x")
                    rest = wire.socket.recv(65536)
                except socket.timeout:
                    pass
                except ConnectionError:
                    rest = b""
            assert rest is not None, "still open"
            self.assertRegex(rest, rb"^$|^HTTP/1\.1 408 ")
            self.assertGreaterEqual(time.monotonic() - start, EARLIEST)

    def test_body_that_stops(self) -> None:
        # Within the second that an answer waits for content which nobody wants.
        server = self.serve("--body-timeout", "0.5")
        for framing in (
            b"Content-Length: 100\r\n\r\n0123456789",
            b"Transfer-Encoding: chunked\r\n\r\n64\r\nabc",
        ):
            with self.subTest(framing=framing), server.connect() as wire:
                start = time.monotonic()
                wire.send(b"POST /file.txt HTTP/1.1\r\nHost: x\r\n" + framing)
                self.assertEqual(wire.answer().status, 408)
                self.assertLessEqual(len(wire.rest(LATEST + 1)), 0)
                self.assertLessEqual(time.monotonic() - start, LATEST)

    def test_kept_connection_that_stays_idle(self) -> None:
        server = self.serve("--keep-alive", "1")
        with server.connect() as wire:
            self.assertEqual(wire.ask("GET", "/file.txt").status, 200)
            start = time.monotonic()
            self.assertEqual(self.assertEndsInTime(wire, start), b"", "closed in silence")

    def test_kept_connection_starts_its_next_head_with_full_time(self) -> None:
        server = self.serve("--header-timeout", "1", "--keep-alive", "30")
        with server.connect() as wire:
            self.assertEqual(wire.ask("GET", "/file.txt").status, 200)
            start = time.monotonic()
            self.assertRegex(self.assertEndsInTime(wire.send(b"GET /file"), start), rb"^$|^HTTP/1\.1 408 ")

    def test_clients_that_never_read(self) -> None:
        clients, per_client = 64, 512 * 1024
        self.folder.large("large.bin", 200 * MEGABYTE)
        server = self.serve("--send-timeout", "1")
        self.assertEqual(server.get("/file.txt").status, 200)
        before, descriptors = server.memory(), server.descriptors()
        wires = [server.connect() for _ in range(clients)]
        for wire in wires:
            self.addCleanup(wire.close)
            wire.send(b"GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
        start = time.monotonic()
        most, worst = 0, 0.0
        while server.descriptors() > descriptors + 1:
            asked = time.monotonic()
            self.assertEqual(server.get("/file.txt").body, b"x", "others are served")
            worst = max(worst, time.monotonic() - asked)
            most = max(most, server.memory() - before)
            self.assertLess(time.monotonic() - start, 15, "closed by --send-timeout")
        print(f"worst answer to others {worst * 1000:.1f} ms, {most // clients} B a client", flush=True)
        self.assertLess(most, clients * per_client)
        for wire in wires:
            self.assertLess(len(wire.rest()), 200 * MEGABYTE)


class Resets(Case):
    """A client that resets, whatever the state, leaves nothing behind."""

    ROUNDS = 20

    def setUp(self) -> None:
        super().setUp()
        self.folder.write("file.txt", "x")
        self.folder.large("large.bin", 100 * MEGABYTE)

    def states(self, server: Server) -> list[Wire]:
        """A connection in each state."""
        get = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
        wires = [
            server.connect(),
            server.connect().send(b"GET / HT"),
            server.connect().send(get % b"file.txt"),
            server.connect().send(get % b"large.bin"),
            server.connect().send(get % b"file.txt" * 50),
            server.connect().send(b"POST /file.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\nabc"),
            server.connect().send(b"GET / HTTP/9.9\r\n\r\n"),
        ]
        kept = server.connect()
        kept.ask("GET", "/file.txt")
        reading = server.connect().send(get % b"large.bin")
        answer: Answer = reading.head()
        self.assertEqual(answer.status, 200)
        reading.file.read(3 * MEGABYTE)
        return [*wires, kept, reading]

    def test_reset_at_any_state(self) -> None:
        server = self.serve()
        for path in ("/file.txt", "/"):
            self.assertEqual(server.get(path).status, 200)
        for wire in self.states(server):
            wire.reset()
        threads, descriptors = server.threads(), server.descriptors()
        until("the first round ends", lambda: server.established() == 0)
        descriptors = server.descriptors()
        for _ in range(self.ROUNDS):
            for wire in self.states(server):
                wire.reset()
        until("descriptors are back", lambda: server.descriptors() <= descriptors)
        self.assertLessEqual(server.threads(), threads)
        start, spent = time.monotonic(), server.cpu_seconds()
        time.sleep(2)  # the time over which the idle server is measured
        self.assertLessEqual((server.cpu_seconds() - spent) / (time.monotonic() - start), 0.01, "idle CPU")
        self.assertEqual(server.get("/file.txt").body, b"x")
        self.assertNotRegex(server.log(), "(?i)panic|traceback")
