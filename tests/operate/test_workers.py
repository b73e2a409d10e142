"""Worker processes: they answer, are kept running, and are replaced when they have done enough."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.operate.crew import Clients, CrewCase, children, is_alive
from tests.operate.test_inside import ask
from tests.ports import free_port
from tests.support import Answer, Server, require, until


def in_flight(port: int) -> float:
    """How many requests are under way, as the supervisor knows it: at least those that stay."""
    found = re.search(r"^salver_requests_in_flight (\S+)$", ask(port, "/metrics").body.decode(), re.MULTILINE)
    return float(found[1]) if found else 0


def until_equal(count: int, find: Callable[[], list[int]]) -> list[int]:
    """So many processes, once there are so many."""
    until(f"there are {count}", lambda: len(find()) == count)
    return find()


def end_groups(pids: list[int]) -> None:
    """End scripts whose server has died, with what they have started."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


class Workers(CrewCase):
    """Two workers below a supervisor."""

    def setUp(self) -> None:
        super().setUp()
        self.folder.write("file.txt", "x")

    def test_the_supervisor_has_one_thread_and_every_worker_answers(self) -> None:
        server = self.crew(workers=3)
        self.assertEqual(server.threads(), 1)
        for _ in range(50):
            self.assertEqual(server.get("/file.txt").body, b"x")
        self.assertEqual(server.threads(), 1)
        self.assertEqual(len(children(server.pid)), 3)

    def test_killed_under_load(self) -> None:
        port = free_port()
        server = self.crew("--cgi", "--graceful-timeout", "1", "--metrics", f"127.0.0.1:{port}")
        slow = self.slow_script(30)  # nobody waits for it: it is there to be cut off
        clients = Clients(server, {"/file.txt": b"x"}, kept=2, new=2)
        answers: list[Answer | Exception] = []

        def ask() -> None:
            try:
                answers.append(server.get(slow))
            except ConnectionError as error:
                answers.append(error)

        asking = [threading.Thread(target=ask) for _ in range(2)]
        for thread in asking:
            thread.start()
        scripts = until_equal(2, lambda: [one for pid in children(server.pid) for one in children(pid)])
        self.addCleanup(end_groups, scripts)
        until("there is load", lambda: clients.reached(200))
        until("the supervisor knows of the scripts", lambda: all(in_flight(port) >= 2 for _ in range(20)))
        victims = children(server.pid)
        for victim in victims:
            before = children(server.pid)
            self.kill(victim)
            took = self.another(server, victim, len(before))
            print(f"replaced after {took:.2f} s", flush=True)
        for thread in asking:
            thread.join()
        done = clients.done
        until("it goes on", lambda: clients.reached(done + 200))
        failures = clients.stop()
        # At most what was in flight: one request a client, at each of the two deaths.
        self.assertLessEqual(sum(failures.values()), 8, failures)
        self.assertFalse([text for text in failures if "Refused" in text], "nobody was refused")
        self.assertEqual([type(answer) for answer in answers], [ConnectionError] * 2, answers)
        log = server.log()
        for victim in victims:
            self.assertRegex(
                log, rf"worker {victim} died: signal 9, SIGKILL; \d+ requests were in flight on it"
            )
        told = [
            int(line.partition("SIGKILL; ")[2].split()[0]) for line in log.splitlines() if "SIGKILL; " in line
        ]
        self.assertGreaterEqual(sum(told), 2, log)
        self.assertAlive(server)

    def another(self, server: Server, victim: int, count: int) -> float:
        """Wait until another worker has the place of this one; how long it took."""
        return until(
            "another takes its place",
            lambda: victim not in children(server.pid) and len(children(server.pid)) == count,
            5,  # 1 s, and time for a busy machine
        )

    def test_workers_that_keep_dying_are_tried_ever_more_rarely(self) -> None:
        server = self.crew(workers=1)
        end = time.monotonic() + 4
        killed: set[int] = set()
        while time.monotonic() < end:
            for pid in children(server.pid):
                if is_alive(pid):
                    self.kill(pid)
                    killed.add(pid)
            time.sleep(0.005)
        self.assertAlive(server)
        self.assertLess(len(killed), 12, "back-off")
        until("it comes back", lambda: server.get("/file.txt").body == b"x", 8)

    def test_one_more_and_one_fewer(self) -> None:
        server = self.crew(workers=1)
        clients = Clients(server, {"/file.txt": b"x"})
        for name, count in [("TTIN", 2), ("TTIN", 3), ("TTOU", 2), ("TTOU", 1), ("TTOU", 1), ("TTIN", 2)]:
            server.signal(getattr(signal, f"SIG{name}"))
            until(f"{count} after {name}", lambda count=count: len(children(server.pid)) == count)  # type: ignore[misc]
            done = clients.done
            until("requests go on", lambda done=done: clients.reached(done + 100))  # type: ignore[misc]
        self.assertEqual(clients.stop(), {})
        server.tells("one worker is left")

    def test_enough_requests(self) -> None:
        server = self.crew("--max-requests", "50", "--max-requests-jitter", "10")
        before = children(server.pid)
        clients = Clients(server, {"/file.txt": b"x"})
        self.replaced(server, before)
        self.assertEqual(clients.stop(), {})
        server.tells(" is replaced: it has answered ")

    def test_too_much_memory(self) -> None:
        server = self.crew("--max-rss", "1000000", workers=1)
        before = children(server.pid)
        self.replaced(server, before)
        server.tells("of memory, and --max-rss is 1000000")

    def test_the_supervisor_is_killed(self) -> None:
        server = self.crew("--cgi")
        slow = self.slow_script(60)
        wire = server.connect()
        self.addCleanup(wire.close)
        wire.send(f"GET {slow} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        workers = children(server.pid)
        until("the script runs", lambda: any(map(children, workers)))
        scripts = [script for worker in workers for script in children(worker)]
        self.kill(server.pid)
        server.wait()
        self.assertGone(workers, 2)
        self.assertGone(scripts, 6)
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind((server.host, server.port))  # it is free

    def test_workers_that_cannot_start_end_the_start(self) -> None:
        os.chmod(self.folder.path / "file.txt", 0)
        with self.assertRaisesRegex(AssertionError, "salver: error: "):
            self.serve("--workers", "2", "--access-log", "/no/such/folder/log")


class Reaping(CrewCase):
    """Process 1 of a container."""

    def test_orphans_are_reaped(self) -> None:
        self.folder.write("file.txt", "x")
        path = self.folder.write(
            "cgi-bin/orphan",
            "#!/bin/sh\n(sleep 0.2 &) >/dev/null 2>&1\nprintf 'Content-Type: text/plain\\n\\nx'\n",
        )
        path.chmod(0o755)
        namespace = [require("unshare", "util-linux"), "--map-root-user", "--pid", "--fork", "--kill-child"]
        server = self.serve("--cgi", launcher=namespace)
        [first] = children(server.pid)
        workers = children(first)
        self.assertEqual(len(workers), 1, "process 1 has somebody else serve")
        for _ in range(5):
            self.assertEqual(server.get("/cgi-bin/orphan").body, b"x")
        until("nobody is left but the worker", lambda: children(first) == workers)
        os.kill(first, signal.SIGTERM)
        self.assertEqual(server.wait(), 0, "TERM is passed on")


class Sandbox(CrewCase):
    """Workers that serve files are confined; the others, and who says so, are not."""

    def privileges(self, *options: str) -> set[str]:
        """Whether the workers may gain privileges, as the kernel has it."""
        server = self.crew(*options)
        self.assertEqual(server.get("/file.txt").body, b"x")
        status = [Path(f"/proc/{pid}/status").read_text() for pid in children(server.pid)]
        return {line.split()[1] for text in status for line in text.splitlines() if "NoNewPrivs" in line}

    def test_who_is_confined(self) -> None:
        self.folder.write("file.txt", "x")
        for options, want in [((), "1"), (("--no-sandbox",), "0"), (("--cgi",), "0")]:
            self.assertEqual(self.privileges(*options), {want}, options)

    def test_logs_are_rotated_and_roots_replaced(self) -> None:
        root = self.folder.folder("site/1")
        self.folder.write("site/1/file.txt", "1")
        self.folder.write("site/2/file.txt", "2")
        current = self.folder.path / "site" / "current"
        current.symlink_to(root)
        log = self.folder.path / "log"
        server = Server(current, "--workers", "1", "--access-log", str(log))
        self.addCleanup(server.__exit__)
        self.assertEqual(server.get("/file.txt").body, b"1")
        until("it is logged", lambda: log.read_text() != "")
        log.rename(log.with_name("log.1"))
        server.signal(signal.SIGUSR1)
        until("the log is opened anew", log.exists)
        fresh = current.with_name("fresh")
        fresh.symlink_to(root.with_name("2"))
        fresh.rename(current)
        server.signal(signal.SIGHUP)
        until("the new root is served", lambda: server.get("/file.txt").body == b"2")
        until("it is logged again", lambda: log.read_text() != "")
