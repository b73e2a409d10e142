"""HUP: new configuration and code with no request lost; what is wrong leaves the old one serving."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from tests.operate.crew import Clients, CrewCase, children, descriptors, is_alive
from tests.operate.test_inside import ask
from tests.ports import free_port
from tests.support import Server, salver_command, until

RELOADS = int(os.environ.get("TEST_RELOADS", "4"))
REQUESTS = int(os.environ.get("TEST_REQUESTS", "8000"))


class Reload(CrewCase):
    """The same for one process and for workers; each configuration names itself in a header."""

    def setUp(self) -> None:
        super().setUp()
        self.folder.write("file.txt", "x")
        self.folder.write("large.bin", b"y" * 300_000)
        self.configure(1)

    def configure(self, number: int, rest: str = "") -> None:
        """Write the configuration with this number."""
        self.folder.write("../" + self.config.name, f"header = [['X-Config', '{number}']]\n{rest}")

    @property
    def config(self):  # type: ignore[no-untyped-def]
        """The file of the configuration, beside the served folder."""
        return self.folder.path.with_suffix(".toml")

    def start(self, workers: int) -> Server:
        """One process without workers, else a supervisor with so many."""
        self.addCleanup(lambda: self.config.unlink(missing_ok=True))
        options = ["--config", str(self.config), "--access-log", "off"]
        if workers:
            return self.crew(*options, workers=workers)
        return self.serve(*options)

    def reload(self, server: Server, number: int) -> None:
        """HUP, until the configuration with this number answers everywhere."""
        self.configure(number)
        before = children(server.pid)
        server.signal(signal.SIGHUP)
        if before:
            self.replaced(server, before)
        until(
            "the new configuration answers",
            lambda: {server.get("/file.txt").header("X-Config") for _ in range(8)} == {str(number)},
        )

    def check_nothing_is_lost(self, workers: int) -> None:
        server = self.start(workers)
        paths = {"/file.txt": b"x", "/large.bin": b"y" * 300_000}
        self.assertEqual(server.get("/file.txt").header("X-Config"), "1")
        clients = Clients(server, paths)
        # What one reload leaves for good (threads' own files) is not counted as a leak.
        self.reload(server, 0)
        start, processes = descriptors(server.pid), len(children(server.pid))
        for number in range(RELOADS):
            goal = REQUESTS * (number + 1) // RELOADS
            until("requests are made", lambda goal=goal: clients.reached(goal), 120)  # type: ignore[misc]
            self.reload(server, number + 2)
        until("all requests are made", lambda: clients.reached(REQUESTS), 120)
        done = clients.done
        self.assertEqual(clients.stop(), {}, server.log())
        until("descriptors are back", lambda: descriptors(server.pid) <= start + 2, 10)
        self.assertEqual(len(children(server.pid)), processes)
        print(f"{done} requests over {RELOADS} reloads, 0 failed", flush=True)

    def test_nothing_is_lost_with_workers(self) -> None:
        self.check_nothing_is_lost(2)

    def test_nothing_is_lost_in_one_process(self) -> None:
        self.check_nothing_is_lost(0)

    def test_an_idle_kept_connection_has_one_more_answer_or_five_seconds(self) -> None:
        for workers in (0, 1):
            with self.subTest(workers=workers):
                self.configure(1)
                server = self.start(workers)
                asking, silent = server.connect(), server.connect()
                for wire in (asking, silent):
                    self.addCleanup(wire.close)
                    self.assertEqual(wire.ask("GET", "/file.txt").header("Connection"), None)
                start = time.monotonic()
                self.configure(2)
                server.signal(signal.SIGHUP)
                until("the new one answers alone", lambda server=server: self.is_new(server))  # type: ignore[misc]
                self.assertEqual(asking.ask("GET", "/file.txt").header("Connection"), "close")
                self.assertEqual(asking.rest(), b"")
                self.assertEqual(silent.rest(), b"")
                took = time.monotonic() - start
                self.assertTrue(4.5 < took < 8, took)

    def is_new(self, server: Server) -> bool:
        """Whether the second configuration answers on every new connection."""
        return {server.get("/file.txt").header("X-Config") for _ in range(10)} == {"2"}

    def test_what_is_wrong_leaves_the_old_one_serving(self) -> None:
        for workers in (0, 2):
            with self.subTest(workers=workers):
                self.configure(1)
                server = self.start(workers)
                before = children(server.pid)
                for wrong, words in [
                    ("hiden = true", ":2: hiden: no such option; hidden is one"),
                    ("keep_alive = 'x'", ":2: keep_alive: "),
                    ("theme = '/no/such.css'", "/no/such.css"),
                    ("[mount]\n'/x' = '/no/such/folder'", "no file or folder /no/such/folder; create it"),
                    ("user = 'nobody-such'", ":2: user nobody-such: no such user"),
                ]:
                    self.configure(2, wrong)
                    logged = server.log().count("not reloaded")
                    server.signal(signal.SIGHUP)
                    until(f"{wrong} is told", lambda: server.log().count("not reloaded") > logged)  # noqa: B023
                    [*_, line] = [line for line in server.log().splitlines() if "not reloaded" in line]
                    self.assertIn("[ERROR] not reloaded, what was served is served on: ", line)
                    self.assertIn(words, line)
                    self.assertEqual(server.get("/file.txt").header("X-Config"), "1")
                self.assertEqual(children(server.pid), before)
                self.reload(server, 3)

    def test_the_number_of_workers_may_change(self) -> None:
        self.config.write_text("workers = 1\naccess_log = 'off'\n")
        self.addCleanup(lambda: self.config.unlink(missing_ok=True))
        server = self.serve("--config", str(self.config))
        clients = Clients(server, {"/file.txt": b"x"})
        for count in (3, 1, 2):
            self.config.write_text(f"workers = {count}\naccess_log = 'off'\n")
            server.signal(signal.SIGHUP)
            until(f"{count} workers", lambda count=count: len(children(server.pid)) == count)  # type: ignore[misc]
        self.assertEqual(clients.stop(), {})


class Upgrade(CrewCase):
    """USR2: the new program on the same sockets."""

    def setUp(self) -> None:
        super().setUp()
        self.folder.write("file.txt", "x")

    def successor(self, server: Server, workers: int) -> int:
        """The supervisor that takes over, once it serves."""
        server.tells("the new program serves")
        [pid] = [pid for pid in children(server.pid) if len(children(pid)) == workers]
        return pid

    def test_nothing_is_lost_from_one_program_to_the_next(self) -> None:
        pid_file = self.folder.path / "pid"
        server = self.crew("--pid", str(pid_file))
        clients = Clients(server, {"/file.txt": b"x"})
        until("requests are made", lambda: clients.reached(200))
        server.signal(signal.SIGUSR2)
        new = self.successor(server, 2)
        self.addCleanup(self.end, new)
        self.assertEqual(pid_file.read_text(), f"{server.pid}\n")
        self.assertEqual(pid_file.with_name("pid.2").read_text(), f"{new}\n")
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        until(
            "the PID file is the new one's", lambda: pid_file.exists() and pid_file.read_text() == f"{new}\n"
        )
        done = clients.done
        until("requests go on", lambda: clients.reached(done + 200))
        self.assertEqual(clients.stop(), {}, server.log())
        self.assertEqual(len(children(new)), 2)

    def test_a_new_program_that_cannot_start_changes_nothing(self) -> None:
        config = self.folder.path.with_suffix(".toml")
        config.write_text("hidden = true\n")
        self.addCleanup(config.unlink)
        server = self.crew("--config", str(config))
        config.write_text("hiden = true\n")
        server.signal(signal.SIGUSR2)
        server.tells("the new program has ended: exit code 1; this one serves on")
        server.tells(":1: hiden: no such option; hidden is one")
        self.assertEqual(server.get("/file.txt").body, b"x")

    def test_metrics_and_the_control_socket_go_to_the_new_program_and_back(self) -> None:
        port, path = free_port(), self.folder.path / "control"
        server = self.crew("--metrics", f"127.0.0.1:{port}", "--control-socket", str(path))
        self.assertEqual(self.answering(path), server.pid)
        server.signal(signal.SIGUSR2)
        new = self.successor(server, 2)
        self.addCleanup(self.end, new)
        self.assertEqual(self.answering(path), new)
        self.end(new)
        server.tells("this one serves on")
        until("it answers again", lambda: path.exists() and self.answering(path) == server.pid)
        server.signal(signal.SIGUSR2)
        until("there is another new one", lambda: server.log().count("the new program serves") == 2)
        new = self.successor(server, 2)
        self.addCleanup(self.end, new)
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        self.assertEqual(self.answering(path), new)
        self.assertEqual(ask(port, "/-/ready").status, 200)
        self.end(new)
        until("it goes with the new one", lambda: not path.exists())

    def answering(self, path: Path) -> int:
        """Which supervisor answers at this control socket."""
        command = [salver_command()[0], "status", "--json", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return int(json.loads(done.stdout)["pid"])

    def test_a_socket_file_is_the_new_program_s(self) -> None:
        path = self.folder.path / "socket"
        server = self.crew("--bind", f"unix:{path}")
        server.signal(signal.SIGUSR2)
        new = self.successor(server, 2)
        self.addCleanup(self.end, new)
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        self.assertTrue(path.exists())
        self.end(new)
        until("it goes with the new one", lambda: not path.exists())

    def end(self, pid: int) -> None:
        """TERM, and wait for the end."""
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            return
        until("it ends", lambda: not is_alive(pid))
