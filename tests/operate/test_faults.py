"""The machine's limits, with workers: descriptors and disk."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from tests.operate.crew import CrewCase, children, descriptors
from tests.support import Server, Wire, require, salver_command, until

LIMIT = 64


class Descriptors(CrewCase):
    """Workers out of file descriptors: no spinning, no silence for those already here, back as soon as some are free."""

    def test_out_of_descriptors(self) -> None:
        self.folder.write("file.txt", "x")
        launcher = [require("prlimit", "util-linux"), f"--nofile={LIMIT}"]
        server = self.crew("--keep-alive", "600", launcher=launcher)
        kept = [server.connect() for _ in range(4)]
        for wire in kept:
            self.addCleanup(wire.close)
            self.assertEqual(wire.ask("GET", "/file.txt").status, 200)
        workers = children(server.pid)
        wires: list[Wire] = []
        while not all(descriptors(worker) >= LIMIT - 8 for worker in workers):
            wires += [server.connect() for _ in range(LIMIT)]
            self.assertLess(len(wires), 16 * LIMIT)
        lines, start, spent = server.log().count("\n"), time.monotonic(), self.spent(server)
        time.sleep(2)  # the time over which the starved server is measured
        elapsed = time.monotonic() - start
        self.assertLess((self.spent(server) - spent) / elapsed, 0.10, "CPU while starved")
        self.assertLessEqual(server.log().count("\n") - lines, 2 * (elapsed + 1), server.log())
        for wire in kept:
            self.assertEqual(wire.ask("GET", "/file.txt").body, b"x", "an open connection is served")
        for wire in wires:
            wire.reset()
        took = until("it accepts again", lambda: all(self.answers(server) for _ in range(8)), 4)
        print(f"recovered after {took:.2f} s", flush=True)
        self.assertEqual(children(server.pid), workers, "nobody died of it")

    def spent(self, server: Server) -> float:
        """The processor seconds of supervisor and workers so far."""
        pids = [server.pid, *children(server.pid)]
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
        return sum(int(ticks) for line in fields for ticks in line[11:13]) / 100

    def answers(self, server: Server) -> bool:
        """Whether a request on a new connection is answered soon."""
        with server.connect() as wire:
            wire.socket.settimeout(0.5)
            try:
                return wire.ask("GET", "/file.txt").status == 200
            except OSError:
                return False


class Disk(CrewCase):
    """A small disk of the log, which fills up and is emptied again."""

    def test_log_disk_full(self) -> None:
        self.folder.write("file.txt", "x")
        disk = self.folder.folder("disk")
        script = 'mount -t tmpfs -o size=256k none "$0" && head -c 192k /dev/zero > "$0/filler" && exec "$@"'
        namespace = [require("unshare", "util-linux"), "--map-root-user", "--mount", "sh", "-c", script]
        server = self.crew("--access-log", f"{disk}/log", launcher=[*namespace, str(disk)])
        seen = Path(f"/proc/{server.pid}/root{disk}")  # as the server sees it
        with server.connect() as wire:
            while "No space left on device" not in server.log():
                for number in range(100):
                    answer = wire.ask("GET", f"/file.txt?{number:0200}")
                    self.assertEqual(answer.body, b"x", "it serves on")
        size = (seen / "log").stat().st_size
        (seen / "filler").unlink()

        def recovered() -> bool:
            for _ in range(10):
                self.assertEqual(server.get("/file.txt").body, b"x")
            return "lines were dropped" in server.log()

        until("what was lost is counted", recovered)
        self.assertGreater((seen / "log").stat().st_size, size)
        self.assertLess(server.log().count("\n"), 20, "not a line a request")

    def test_no_room_for_the_pid_file(self) -> None:
        disk = self.folder.folder("disk")
        script = (
            'mount -t tmpfs -o size=64k none "$0" && { head -c 128k /dev/zero > "$0/filler"; "$@"; ls "$0"; }'
        )
        namespace = [require("unshare", "util-linux"), "--map-root-user", "--mount", "sh", "-c", script]
        command = [*namespace, str(disk), salver_command()[0], "0", "--pid", f"{disk}/pid"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        self.assertIn(f"salver: error: --pid {disk}/pid: No space left on device", done.stderr)
        self.assertEqual(done.stdout, "filler\n", "nothing half-made stays")

    def test_upload_disk_full(self) -> None:
        script = self.folder.write("cgi-bin/count", "#!/bin/sh\necho Content-Type: text/plain; echo; wc -c\n")
        script.chmod(0o755)
        disk = self.folder.folder("disk")
        mount = 'mount -t tmpfs -o size=1536k none "$0" && TMPDIR="$0" exec "$@"'
        namespace = [require("unshare", "util-linux"), "--map-root-user", "--mount", "sh", "-c", mount]
        server = self.crew("--cgi", launcher=[*namespace, str(disk)])
        seen = Path(f"/proc/{server.pid}/root{disk}")
        for size, status in ((1200, 200), (3000, 507), (1200, 200)):
            with self.subTest(size), server.connect() as wire:
                wire.send(b"POST /cgi-bin/count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
                try:
                    wire.send(b"400\r\n%b\r\n" % bytes(1024) * size + b"0\r\n\r\n")
                except ConnectionError:
                    pass  # it was answered before all of it was there
                answer = wire.answer()
                self.assertEqual(answer.status, status)
                if status == 200:
                    self.assertEqual(answer.body.strip(), b"%d" % (size * 1024))
            until("nothing is left", lambda: shutil.disk_usage(seen).used == 0)
