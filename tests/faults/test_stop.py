"""Stopping: TERM answers what is queued, INT says what http.server says."""

from __future__ import annotations

import os
import signal
import socket

from tests.support import Case, Server, Wire, until

QUEUED = 32
SIZE = 64 << 20


class Stop(Case):
    """A large download that waits for its client stands for a running request."""

    def setUp(self) -> None:
        super().setUp()
        self.folder.large("large.bin", SIZE)
        self.folder.write("file.txt", "x")

    def running(self, server: Server) -> Wire:
        """A request whose answer has begun and is not at its end."""
        wire = server.connect()
        self.addCleanup(wire.close)
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        wire.send(b"GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(wire.head().status, 200)
        return wire

    def test_term_answers_all_that_is_queued(self) -> None:
        server = self.serve()
        idle = server.connect()
        self.addCleanup(idle.close)
        self.assertEqual(idle.ask("GET", "/file.txt").status, 200)
        running = self.running(server)
        server.signal(signal.SIGSTOP)
        queued = [server.connect() for _ in range(QUEUED)]
        for wire in queued:
            self.addCleanup(wire.close)
            wire.send(b"GET /file.txt HTTP/1.1\r\nHost: x\r\n\r\n")
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGCONT)
        self.assertEqual([wire.answer().body for wire in queued], [b"x"] * QUEUED)
        self.assertAlive(server)
        self.assertEqual(len(running.file.read(SIZE)), SIZE)
        self.assertEqual(idle.rest(), b"")
        self.assertEqual(server.wait(), 0)
        self.assertNotIn("panic", server.log())

    def test_after_term_nobody_is_let_in(self) -> None:
        server = self.serve()
        running = self.running(server)
        server.signal(signal.SIGTERM)
        until("the port is closed", lambda: self.refused(server))
        self.assertEqual(len(running.file.read(SIZE)), SIZE)
        self.assertEqual(server.wait(), 0)

    def refused(self, server: Server) -> bool:
        """Whether a new connection is refused."""
        try:
            server.connect().close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:
            pass  # the queue was closed under this connection: ask again
        return False

    def test_second_term_ends_at_once(self) -> None:
        server = self.serve()
        self.running(server)
        server.signal(signal.SIGTERM)
        until("the first is obeyed", lambda: self.refused(server))
        self.assertAlive(server)
        server.signal(signal.SIGTERM)
        server.wait(3)

    def test_grace_has_an_end(self) -> None:
        server = self.serve("--graceful-timeout", "1")
        self.running(server)
        server.signal(signal.SIGTERM)
        server.wait(5)

    def test_interrupt(self) -> None:
        server = self.serve()
        self.assertEqual(server.get("/file.txt").status, 200)
        server.signal(signal.SIGINT)
        self.assertEqual(server.wait(), 0)
        assert server.process.stdout is not None
        self.assertEqual(server.process.stdout.read(), "\nKeyboard interrupt received, exiting.\n")

    def test_port_is_free_again_at_once(self) -> None:
        server = self.serve()
        self.assertEqual(server.get("/file.txt").status, 200)
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind((server.host, server.port))
        self.assertFalse(os.path.exists(f"/proc/{server.pid}/fd"))
