"""TERM, INT and QUIT of a server with workers."""

from __future__ import annotations

import os
import signal
import time

from tests.operate.crew import CrewCase, children
from tests.support import until

QUEUED = 32


class End(CrewCase):
    """One running request, and more in the accept queues."""

    def setUp(self) -> None:
        super().setUp()
        self.folder.write("file.txt", "x")

    def test_term_answers_what_runs_and_what_is_queued(self) -> None:
        server = self.crew("--cgi")
        slow = self.slow_script(1)
        idle = server.connect()
        self.addCleanup(idle.close)
        self.assertEqual(idle.ask("GET", "/file.txt").status, 200)
        running = server.connect()
        self.addCleanup(running.close)
        running.send(f"GET {slow} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        workers = children(server.pid)
        until("the script runs", lambda: any(map(children, workers)))
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        queued = [server.connect() for _ in range(QUEUED)]
        for wire in queued:
            self.addCleanup(wire.close)
            wire.send(b"GET /file.txt HTTP/1.1\r\nHost: x\r\n\r\n")
        server.signal(signal.SIGTERM)
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
        self.assertEqual([wire.answer().body for wire in queued], [b"x"] * QUEUED)
        self.assertEqual(running.answer().body, b"slow")
        self.assertEqual(idle.rest(), b"")
        self.assertEqual(server.wait(), 0)
        self.assertGone(workers, 1)

    def test_a_second_term_ends_at_once(self) -> None:
        server = self.crew("--cgi")
        slow = self.slow_script(60)
        running = server.connect()
        self.addCleanup(running.close)
        running.send(f"GET {slow} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        workers = children(server.pid)
        until("the script runs", lambda: any(map(children, workers)))
        server.signal(signal.SIGTERM)
        until("idle workers end", lambda: len(children(server.pid)) == 1)
        self.assertAlive(server)
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(3), 0)
        self.assertGone(workers, 1)

    def test_the_grace_has_an_end(self) -> None:
        server = self.crew("--cgi", "--graceful-timeout", "1")
        slow = self.slow_script(60)
        running = server.connect()
        self.addCleanup(running.close)
        running.send(f"GET {slow} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        until("the script runs", lambda: any(map(children, children(server.pid))))
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(5), 0)

    def test_a_worker_that_does_not_end_is_killed(self) -> None:
        server = self.crew("--graceful-timeout", "1")
        workers = children(server.pid)
        os.kill(workers[0], signal.SIGSTOP)
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(6), 0)
        self.assertGone(workers, 1)
        server.tells(f"worker {workers[0]} has outlived its time and is killed")

    def test_interrupt(self) -> None:
        server = self.crew()
        workers = children(server.pid)
        start = time.monotonic()
        for pid in [*workers, server.pid]:  # a terminal interrupts all of them
            os.kill(pid, signal.SIGINT)
        self.assertEqual(server.wait(), 0)
        self.assertLess(time.monotonic() - start, 3)
        assert server.process.stdout is not None
        self.assertEqual(server.process.stdout.read(), "\nKeyboard interrupt received, exiting.\n")
        self.assertNotIn("died", server.log())
