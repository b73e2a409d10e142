"""A folder of 100,000 files is listed: whole, in every coding, again and again, and the server stays small."""

from __future__ import annotations

import gzip
import re
import time
from pathlib import Path

from tests.support import Answer, Case, Server, is_release, until

ENTRIES = 100_000
MOST = 20_000_000  # bytes that listing them may take, at its worst moment and afterwards
ROUNDS = 2


class LargeFolder(Case):
    """Memory is what the kernel says of the process; other tests see to the entries themselves."""

    def peak(self, server: Server) -> int:
        """The most bytes that were resident since the last reset."""
        status = Path(f"/proc/{server.pid}/status").read_text()
        match = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        assert match is not None
        return int(match[1]) * 1024

    def ask(self, server: Server, coding: str) -> tuple[Answer, float, float]:
        """The listing, and the seconds until its head and its end."""
        with server.connect() as wire:
            start = time.monotonic()
            wire.send(
                f"GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {coding}\r\nConnection: close\r\n\r\n".encode()
            )
            answer = wire.head()
            first = time.monotonic() - start
            answer.body = wire.rest()
            return answer, first, time.monotonic() - start

    def test_a_hundred_thousand_entries(self) -> None:
        folder = self.folder.path
        for number in range(ENTRIES):
            (folder / f"file-{number:06}.txt").touch()
        server = self.serve("--access-log", "off")
        self.assertEqual(server.get("/file-000000.txt").status, 200)
        resident, peak = server.memory(), self.peak(server)
        for coding in ["identity", "gzip", "br", "zstd"] * ROUNDS:
            answer, first, whole = self.ask(server, coding)
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.header("Content-Encoding") or "identity", coding)
            self.assertTrue(answer.body.endswith(b"0\r\n\r\n"), "the listing came to its end")
            if coding == "identity":
                self.assertEqual(answer.body.count(b'<tr class="t">'), ENTRIES)
            if coding == "gzip":
                self.assertEqual(gunzip(answer.body).count(b'<tr class="t">'), ENTRIES)
            print(
                f"{coding}: first byte {first:.2f} s, complete {whole:.2f} s, "
                f"at most {(self.peak(server) - peak) / 1e6:+.1f} MB",
                flush=True,
            )
        if is_release():
            self.assertLessEqual(self.peak(server) - peak, MOST)
            until("memory is given back", lambda: server.memory() - resident <= MOST / 2)
        print(f"afterwards {(server.memory() - resident) / 1e6:+.1f} MB", flush=True)


def gunzip(chunked: bytes) -> bytes:
    """The content of a chunked body."""
    content, at = b"", 0
    while True:
        end = chunked.index(b"\r\n", at)
        size = int(chunked[at:end], 16)
        if size == 0:
            return gzip.decompress(content)
        content += chunked[end + 2 : end + 2 + size]
        at = end + 2 + size + 2
