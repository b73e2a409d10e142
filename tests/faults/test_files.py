"""What is no file, and files that change while they are sent."""

from __future__ import annotations

import io
import os
import socket
import stat
import zipfile

from tests.support import PATIENCE, USER, Case, Server, Wire, until

MEGABYTE = 1 << 20
SIZE = 64 * MEGABYTE


class NotAFile(Case):
    """A FIFO, a socket, a device: 404 at once, and nothing else is disturbed."""

    def setUp(self) -> None:
        super().setUp()
        self.folder.write("file.txt", "x")
        os.mkfifo(self.folder.path / "fifo")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.folder.path / "socket"))
        self.addCleanup(listener.close)
        self.names = ["fifo", "socket"]
        if USER.root:
            for name, kind, device in (("null", stat.S_IFCHR, (1, 3)), ("loop", stat.S_IFBLK, (7, 200))):
                os.mknod(self.folder.path / name, kind | 0o666, os.makedev(*device))
                self.names.append(name)
        else:
            print("devices need root and are left out", flush=True)
        for name in self.names:
            (self.folder.path / name).chmod(0o666)

    def test_404_at_once(self) -> None:
        server = self.serve()
        self.assertEqual(server.get("/file.txt").status, 200)
        threads, descriptors = server.threads(), server.descriptors()
        for method in ("GET", "HEAD"):
            for name in self.names * 10:
                with self.subTest(name=name, method=method), server.connect() as wire:
                    self.assertEqual(wire.ask(method, f"/{name}", {"Connection": "close"}).status, 404)
        self.assertEqual(server.get("/file.txt").body, b"x")
        self.assertLessEqual(server.threads(), threads)
        self.assertLessEqual(server.descriptors(), descriptors + 1)

    def test_folder_with_such_entries_is_listed(self) -> None:
        self.assertEqual(self.serve().get("/").status, 200)

    def test_index_that_is_a_fifo(self) -> None:
        os.mkfifo(self.folder.path / "index.html")
        self.assertEqual(self.serve().get("/").status, 200, "the listing: only a regular file is an index")


class Unreadable(Case):
    """What the server may not read is left out of an archive, which comes whole."""

    def test_archive_without_it(self) -> None:
        self.folder.write("a.txt", "a")
        self.folder.write("secret.txt", "s").chmod(0)
        self.folder.write("closed/b.txt", "b")
        (self.folder.path / "closed").chmod(0)
        server = self.serve()
        answer = server.get("/?archive=zip")
        self.assertEqual(answer.status, 200)
        with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
            self.assertIsNone(archive.testzip())
            self.assertEqual(archive.namelist(), ["a.txt", "closed/"])


class Changing(Case):
    """The file changes after the head with its Content-Length is out."""

    def begin(self, server: Server) -> Wire:
        """A connection on which the head and the first bytes have come; the rest waits in the server."""
        wire = server.connect()
        self.addCleanup(wire.close)
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        wire.send(b"GET /file.bin HTTP/1.1\r\nHost: x\r\n\r\nGET /next.txt HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = wire.head()
        self.assertEqual((answer.status, answer.header("Content-Length")), (200, str(SIZE)))
        self.assertEqual(len(wire.file.read(MEGABYTE)), MEGABYTE)
        return wire

    def setUp(self) -> None:
        super().setUp()
        self.path = self.folder.large("file.bin", SIZE)
        self.folder.write("next.txt", "next")

    def test_truncated_while_it_is_sent(self) -> None:
        server = self.serve()
        wire = self.begin(server)
        os.truncate(self.path, 2 * MEGABYTE)
        rest = wire.rest()
        self.assertLess(len(rest), SIZE - MEGABYTE, "cut")
        self.assertEqual(rest.strip(b"\0"), b"", "nothing else on that connection")
        self.assertEqual(server.get("/next.txt").body, b"next")
        self.assertAlive(server)

    def test_grows_while_it_is_sent(self) -> None:
        server = self.serve()
        wire = self.begin(server)
        with open(self.path, "ab") as file:
            file.write(b"more" * MEGABYTE)
        self.assertEqual(len(wire.file.read(SIZE - MEGABYTE)), SIZE - MEGABYTE)
        self.assertEqual(wire.answer().body, b"next", "the next answer follows the announced length")

    def test_removed_while_it_is_sent(self) -> None:
        server = self.serve()
        wire = self.begin(server)
        self.path.unlink()
        self.assertEqual(len(wire.file.read(SIZE - MEGABYTE)), SIZE - MEGABYTE)
        self.assertEqual(wire.answer().body, b"next")
        self.assertEqual(server.get("/file.bin").status, 404)

    def test_replaced_between_two_requests(self) -> None:
        server = self.serve()
        stamp = (1_700_000_000, 1_700_000_000)
        os.utime(self.path, stamp)
        first = server.get("/next.txt")
        self.folder.write("next.tmp", "NEXT").rename(self.folder.path / "next.txt")
        os.utime(self.folder.path / "next.txt", stamp)
        server_side = server.connect()
        self.addCleanup(server_side.close)
        server_side.socket.settimeout(PATIENCE)
        self.assertEqual(first.body, b"next")

        def changed() -> bool:
            answer = server_side.ask("GET", "/next.txt")
            return answer.body == b"NEXT" and answer.header("ETag") != first.header("ETag")

        until("the new file with a tag of its own", changed)
