"""Seeing inside: metrics, probes, `salver status`, and what systemd is told."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from typing import Any

from tests.operate.crew import CrewCase, children
from tests.ports import free_port
from tests.support import USER, Answer, Server, Wire, salver_command, until


def ask(port: int, path: str) -> Answer:
    """GET there."""
    with Wire(socket.create_connection(("127.0.0.1", port), 5)) as wire:
        return wire.ask("GET", path, {"Connection": "close"})


class Metrics(CrewCase):
    """The same of one process and of workers."""

    def setUp(self) -> None:
        super().setUp()
        self.folder.write("file.txt", "four")
        self.port = free_port()
        self.options = ("--metrics", f"127.0.0.1:{self.port}", "--cgi")

    def value(self, name: str) -> float:
        """The sample with this name and these labels; 0 where it is not there."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.text(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def text(self) -> str:
        """All of it."""
        answer = ask(self.port, "/metrics")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8")
        return answer.body.decode()

    def check(self, server: Server) -> None:
        """Requests are counted by mount and status, with their durations."""
        for _ in range(10):
            server.get("/file.txt")
        server.get("/none")
        ok, none = (f'salver_requests_total{{mount="/",status="{status}"}}' for status in (200, 404))
        until("the answers are counted", lambda: (self.value(ok), self.value(none)) == (10, 1))
        self.assertEqual(self.value('salver_request_duration_seconds_count{mount="/"}'), 11)
        self.assertGreater(self.value("salver_response_bytes_total"), 40)
        self.assertEqual(self.value("salver_connections_accepted_total"), 11)
        slow = self.slow_script(1)
        with server.connect() as wire:
            wire.send(f"GET {slow} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            until("one is in flight", lambda: self.value("salver_requests_in_flight") == 1)
            wire.answer()
        until("none is in flight", lambda: self.value("salver_requests_in_flight") == 0)

    def test_one_process(self) -> None:
        server = self.serve(*self.options)
        self.check(server)
        server.signal(signal.SIGHUP)
        server.tells("reloaded")
        self.assertEqual(self.value('salver_requests_total{mount="/",status="200"}'), 10, "counts go on")

    def test_workers(self) -> None:
        server = self.crew(*self.options)
        self.check(server)
        self.kill(children(server.pid)[0])
        until("the restart is counted", lambda: self.value("salver_worker_restarts_total") == 1)
        until("both are ready", lambda: self.value('salver_workers{state="ready"}') == 2)
        self.assertEqual(self.value('salver_requests_total{mount="/",status="200"}'), 10, "counts go on")

    def test_probes(self) -> None:
        server = self.crew(*self.options, "--graceful-timeout", "5")
        self.assertEqual((ask(self.port, "/-/healthy").status, ask(self.port, "/-/ready").status), (200, 200))
        self.assertEqual(ask(self.port, "/none").status, 404)
        slow = self.slow_script(3)
        with server.connect() as wire:
            wire.send(f"GET {slow} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            until("the script runs", lambda: any(map(children, children(server.pid))))
            server.signal(signal.SIGTERM)
            until("it is not ready", lambda: ask(self.port, "/-/ready").status == 503)
            self.assertEqual(ask(self.port, "/-/healthy").status, 200)
            self.assertEqual(wire.answer().body, b"slow")
        self.assertEqual(server.wait(), 0)

    def test_an_address_without_a_port(self) -> None:
        with self.assertRaisesRegex(AssertionError, "--metrics localhost: no port; name one"):
            self.serve("--metrics", "localhost")


class Status(CrewCase):
    """`salver status`."""

    def setUp(self) -> None:
        super().setUp()
        self.folder.write("file.txt", "x")
        self.runtime = self.folder.folder("runtime")
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": str(self.runtime)}

    def status(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it."""
        command = [salver_command()[0], "status", *arguments]
        return subprocess.run(
            command,
            env=self.environment,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            **USER.popen_arguments(),
        )

    def report(self, *arguments: str) -> dict[str, Any]:
        """What it says as JSON."""
        done = self.status("--json", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    def start(self, *options: str) -> Server:
        """A server that can be asked."""
        return self.crew(*options, environment={"XDG_RUNTIME_DIR": str(self.runtime)})

    def test_workers_are_shown(self) -> None:
        server = self.start()
        for _ in range(5):
            server.get("/file.txt")
        until("the load is told", lambda: self.report()["counts"]["requests"] == 5)
        report = self.report()
        self.assertEqual((report["pid"], report["state"], report["wanted"]), (server.pid, "serving", 2))
        self.assertEqual({worker["pid"] for worker in report["workers"]}, set(children(server.pid)))
        self.assertTrue(
            all(worker["state"] == "ready" and worker["rss"] > 1e6 for worker in report["workers"])
        )
        table = self.status()
        self.assertEqual(table.returncode, 0)
        lines = table.stdout.splitlines()
        self.assertIn(f"process {server.pid}, serving for ", lines[0])
        self.assertRegex(lines[3], r"^ *PLACE +PID +STATE")
        self.assertEqual(len(lines), 6)

    def test_which_server(self) -> None:
        none = self.status()
        self.assertEqual(none.returncode, 1)
        self.assertRegex(none.stderr, r"^salver: error: no server with workers runs.*\./status")
        first, second = self.start(), self.start()
        several = self.status()
        self.assertEqual(several.returncode, 1)
        self.assertIn("several run; name one: salver status ", several.stderr)
        self.assertEqual(self.report(str(second.pid))["pid"], second.pid)
        path = next(self.runtime.rglob(f"{first.pid}.sock"))
        self.assertEqual(self.report(str(path))["pid"], first.pid)
        self.kill(second.pid)
        second.wait()
        self.assertEqual(self.report()["pid"], first.pid, "the socket of one that was killed is stale")
        first.signal(signal.SIGTERM)
        first.wait()
        self.assertFalse(path.exists())
        silent = self.folder.path / "silent"
        with socket.socket(socket.AF_UNIX) as stuck:
            stuck.bind(str(silent))
            stuck.listen()
            USER.own(silent)
            told = self.status(str(silent)).stderr
        self.assertRegex(
            told, r"^salver: error: .*/silent: no answer within 5 s; the supervisor there is stuck"
        )
        wrong = self.status("--no-such")
        self.assertEqual(wrong.returncode, 2)

    def test_a_socket_of_its_own(self) -> None:
        path = self.folder.path / "control"
        server = self.start("--control-socket", str(path))
        self.assertEqual(self.report(str(path))["pid"], server.pid)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        off = self.start("--control-socket", "off")
        self.assertEqual(list(self.runtime.rglob(f"{off.pid}.sock")), [])


class Systemd(CrewCase):
    """A socket in the place of systemd's."""

    def setUp(self) -> None:
        super().setUp()
        self.folder.write("file.txt", "x")
        self.path = self.folder.path / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.bind(str(self.path))
        USER.own(self.path)
        self.socket.settimeout(10)

    def told(self) -> dict[str, str]:
        """The next message."""
        lines = self.socket.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def check(self, *options: str) -> None:
        environment = {"NOTIFY_SOCKET": str(self.path)}
        server = self.serve(*options, environment=environment)
        self.assertEqual(self.told(), {"READY": "1", "MAINPID": str(server.pid)})
        server.signal(signal.SIGHUP)
        reloading = self.told()
        self.assertEqual(reloading["RELOADING"], "1")
        self.assertTrue(int(reloading["MONOTONIC_USEC"]) > 0)
        self.assertEqual(self.told()["READY"], "1")
        server.signal(signal.SIGTERM)
        self.assertEqual(self.told(), {"STOPPING": "1"})
        self.assertEqual(server.wait(), 0)

    def test_one_process(self) -> None:
        self.check()

    def test_workers(self) -> None:
        self.check("--workers", "2")

    def test_the_watchdog(self) -> None:
        for options in ((), ("--workers", "1")):
            with self.subTest(options=options):
                environment = {"NOTIFY_SOCKET": str(self.path), "WATCHDOG_USEC": "400000"}
                server = self.serve(*options, environment=environment)
                self.assertEqual(self.told()["READY"], "1")
                self.assertEqual([self.told() for _ in range(3)], [{"WATCHDOG": "1"}] * 3)
                server.stop()

    def test_the_new_program_is_the_main_process_when_the_old_one_ends(self) -> None:
        server = self.serve("--workers", "1", environment={"NOTIFY_SOCKET": str(self.path)})
        self.assertEqual(self.told()["MAINPID"], str(server.pid))
        server.signal(signal.SIGUSR2)
        new = int(self.told()["MAINPID"])
        self.addCleanup(os.kill, new, signal.SIGKILL)
        server.tells("the new program serves")
        server.signal(signal.SIGTERM)
        # Not STOPPING: that would be the end of the whole service.
        self.assertEqual(self.told(), {"READY": "1", "MAINPID": str(new)})
        self.assertEqual(server.wait(), 0)
