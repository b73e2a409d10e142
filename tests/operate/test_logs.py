"""The access log in the system's log."""

from __future__ import annotations

import json
import re
import socket

from tests.operate.crew import CrewCase, children
from tests.support import USER, until


class SystemLog(CrewCase):
    """A socket in the place of a daemon's."""

    def setUp(self) -> None:
        super().setUp()
        self.folder.write("file.txt", "x")
        self.path = self.folder.path / "log.sock"
        self.daemon = self.listen()

    def listen(self) -> socket.socket:
        """The daemon."""
        daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(daemon.close)
        daemon.bind(str(self.path))
        USER.own(self.path)
        daemon.settimeout(10)
        return daemon

    def told(self) -> str:
        """The next message."""
        return self.daemon.recv(65536).decode()

    def test_syslog_of_one_process_and_of_workers(self) -> None:
        for options in ((), ("--workers", "2")):
            with self.subTest(options):
                log = f"syslog:local3:{self.path}"
                server = self.serve("--access-log", log, "--access-log-format", "common", *options)
                server.get("/file.txt")
                pids = children(server.pid) if options else [server.pid]
                message = re.fullmatch(r"<158>salver\[(\d+)\]: (.*)", self.told())
                assert message is not None
                self.assertIn(int(message[1]), pids)
                self.assertRegex(message[2], r'^127\.0\.0\.1 - - \[.*\] "GET /file\.txt HTTP/1\.1" 200 1$')

    def test_a_daemon_that_comes_back(self) -> None:
        server = self.serve("--access-log", f"syslog:{self.path}", "--workers", "1")  # which is confined
        server.get("/file.txt")
        self.assertIn("GET /file.txt", self.told())
        self.daemon.close()
        self.path.unlink()
        server.get("/lost.txt")
        until("it is told", lambda: f"log syslog:{self.path}: " in server.log())
        self.daemon = self.listen()
        server.get("/file.txt")
        self.assertIn("GET /file.txt", self.told())
        server.tells("lines were dropped")

    def test_the_journal(self) -> None:
        server = self.serve("--access-log", f"journal:{self.path}", "--access-log-format", "json")
        server.get("/file.txt", X_Odd="\\n")
        fields = dict(line.split("=", 1) for line in self.told().splitlines())
        self.assertEqual((fields["PRIORITY"], fields["SYSLOG_IDENTIFIER"]), ("6", "salver"))
        self.assertEqual(json.loads(fields["MESSAGE"])["status"], 200)

    def test_nobody_listens(self) -> None:
        for log in (f"syslog:{self.folder.path}/none", "journal:/nonexistent/socket"):
            with self.assertRaisesRegex(
                AssertionError, f"salver: error: --access-log {log}: .*name its socket"
            ):
                self.serve("--access-log", log)
        with self.assertRaisesRegex(AssertionError, "no facility"):
            self.serve("--access-log", "syslog:loud")
