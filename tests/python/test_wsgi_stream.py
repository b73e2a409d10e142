"""WSGI, points 10, 12 and 13: files by sendfile, chunks as they come, back-pressure, early hints."""

from __future__ import annotations

import sys
import time

from tests.python.hosting import APPS, HostCase, on_every_python
from tests.support import Answer, until

sys.path.insert(0, str(APPS))

CONTENT: bytes = __import__("filing").CONTENT
MEGABYTE = 1 << 20


class FileWrapper(HostCase):
    """Point 10: wsgi.file_wrapper."""

    def closed(self) -> None:
        """The file was closed, once."""
        self.assertEqual(self.host.wait_for(self.token, "close"), ["close"])
        self.token += "'"

    def ask(self, query: str, method: str = "GET") -> Answer:
        """`/files`, which closes."""
        answer = self.get("files", query, method)
        self.assertEqual(answer.status, 200, self.logged())
        return answer

    def test_every_kind_of_file(self) -> None:
        for kind, body in {
            "file": CONTENT,
            "raw": CONTENT,
            "update": CONTENT,
            "gzip": CONTENT,
            "BytesIO": CONTENT,
            "spooled": CONTENT,
            "only read": CONTENT,
            "pipe": CONTENT[:4000],
            "upper": CONTENT.upper(),
            "subclass": CONTENT.upper(),
        }.items():
            for query in ("", "&block=1000", f"&length={len(body)}"):
                for bare in ("", "&bare=1"):
                    with self.subTest(kind, query=query, bare=bare):
                        self.token += "'"
                        answer = self.ask(f"kind={kind.replace(' ', '+')}{query}{bare}")
                        self.assertEqual(len(answer.body), len(body))
                        self.assertTrue(answer.body == body)
                        if kind == "only read":
                            continue  # it has no close()
                        if not bare:
                            self.closed()

    def test_position(self) -> None:
        for kind in ("file", "raw", "update", "gzip", "BytesIO", "upper", "spooled"):
            expected = CONTENT.upper() if kind == "upper" else CONTENT
            for query, start in (
                ("seek=5", 5),
                ("read=7", 7),
                ("read=9&seek=100", 100),
                ("seek=999999", 999999),
            ):
                for bare in ("", "&bare=1"):
                    with self.subTest(kind, query=query, bare=bare):
                        body = self.ask(f"kind={kind}&{query}{bare}").body
                        self.assertTrue(body == expected[start:], f"{len(body)} bytes, {body[:20]!r}")

    def test_length(self) -> None:
        for kind in ("file", "raw", "gzip", "BytesIO", "only+read"):
            for length, seek in ((100, 0), (0, 0), (1, 0), (70_000, 0), (100, 13)):
                if seek and kind == "only+read":
                    continue
                with self.subTest(kind, length=length, seek=seek), self.host.connect() as wire:
                    query = f"kind={kind}&length={length}&seek={seek}"
                    answer = wire.ask("GET", self.path("files", query))
                    self.assertEqual(answer.header("Content-Length"), str(length))
                    self.assertTrue(answer.body == CONTENT[seek : seek + length])
                    wire.send(b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    self.assertRegex(wire.rest(), rb"^$|^HTTP/1\.1 200 ", "nothing more of the file")

    def test_a_file_shorter_than_its_length(self) -> None:
        for kind in ("file", "BytesIO"):
            with self.subTest(kind), self.host.connect() as wire:
                with self.assertRaises(ConnectionError):
                    wire.ask("GET", self.path("files", f"kind={kind}&length={len(CONTENT) + 9}"))
                self.assertEqual(wire.rest(), b"")
                self.closed()
        self.assertServes()

    def test_a_plain_file_has_a_length(self) -> None:
        for query, length in (("kind=file", len(CONTENT)), ("kind=file&seek=10", len(CONTENT) - 10)):
            answer = self.ask(query + "&bare=1")
            self.assertIn(answer.header("Content-Length"), (str(length), None))
            self.assertEqual(len(answer.body), length)

    def test_head(self) -> None:
        answer = self.ask(f"kind=file&length={len(CONTENT)}", "HEAD")
        self.assertEqual(answer.header("Content-Length"), str(len(CONTENT)))
        self.closed()

    def test_text_is_no_body(self) -> None:
        self.assertEqual(self.get("files", "kind=text").status, 500)
        self.closed()
        self.assertServes()

    def test_iterated_by_a_middleware(self) -> None:
        for kind in ("file", "gzip", "BytesIO"):
            with self.subTest(kind):
                self.assertTrue(self.ask(f"kind={kind}&iterated=1&block=777").body == CONTENT)
                self.closed()

    def test_made_and_not_used(self) -> None:
        self.assertEqual(self.ask("kind=file&unused=1").body, b"unused")
        self.closed()

    def test_a_client_that_leaves(self) -> None:
        self.assertServes()
        until("connections are gone", lambda: self.host.established() == 0)
        descriptors = self.host.descriptors()
        for _ in range(10):
            wire = self.host.connect()
            wire.send(b"GET /large_file?size=1000000000 HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(wire.head().status, 200)
            wire.file.read(MEGABYTE)
            wire.reset()
        until("descriptors are back", lambda: self.host.descriptors() <= descriptors)
        self.assertServes()

    def test_a_large_file_takes_no_memory(self) -> None:
        self.assertServes()
        before, size = self.host.memory(), 200 * MEGABYTE
        with self.host.connect() as wire:
            wire.send(f"GET /large_file?size={size} HTTP/1.0\r\n\r\n".encode())
            self.assertEqual(wire.head().header("Content-Length"), str(size))
            count, most = 0, 0
            while piece := wire.socket.recv(4 * MEGABYTE):
                count += len(piece)
                most = max(most, self.host.memory() - before)
        self.assertGreaterEqual(count, size - 65536)
        self.assertLess(most, 10 * MEGABYTE)


class Streaming(HostCase):
    """Point 12: a chunk yielded is a chunk on the wire."""

    def test_chunk_by_chunk(self) -> None:
        with self.host.connect() as wire:
            wire.send(f"GET {self.path('drip')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            self.assertEqual(wire.head().header("Transfer-Encoding"), "chunked")
            for number in range(3):
                self.assertEqual(wire.file.read(13), b"8\r\nchunk %d\n\r\n" % number)
                self.host.release(self.token)
            self.assertEqual(wire.file.read(5), b"0\r\n\r\n")

    def test_chunk_by_chunk_to_http_1_0(self) -> None:
        with self.host.connect() as wire:
            wire.send(f"GET {self.path('drip')} HTTP/1.0\r\n\r\n".encode())
            self.assertEqual(wire.head().status, 200)
            for number in range(3):
                self.assertEqual(wire.file.read(8), b"chunk %d\n" % number)
                self.host.release(self.token)
            self.assertEqual(wire.rest(), b"")

    def test_a_slow_reader_holds_the_application_back(self) -> None:
        before = self.host.memory()
        with self.host.connect() as wire:
            wire.send(f"GET {self.path('endless')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            wire.head()
            self.host.wait_for(self.token, "taken 2")
            time.sleep(0.5)  # the time in which it would go on
            self.assertLess(
                int(self.events()[-1].split()[-1]), 16 * MEGABYTE // 65536, "chunks of 64 KiB taken"
            )
            self.assertLess(self.host.memory() - before, 16 * MEGABYTE)
        self.host.wait_for(self.token, "close")
        self.assertServes()

    def test_answers_of_every_size(self) -> None:
        for size in (65536, 8 * MEGABYTE):
            for kind in ("iterator", "write", "chunk"):
                with self.subTest(size=size, kind=kind):
                    answer = self.get("big", f"size={size}&as={kind}")
                    self.assertEqual(len(answer.body), size)
                    self.assertEqual(answer.body.count(b"x"), size)

    def test_pipelined(self) -> None:
        with self.host.connect() as wire:
            names = ("hello", "lengths?chunks=a,b&as=iterator", "writes", "hello")
            wire.send(b"".join(f"GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for name in names))
            bodies = [wire.answer().body for _ in names]
            self.assertEqual(bodies, [b"Hello, world!", b"ab", b"one two three", b"Hello, world!"])


class EarlyHints(HostCase):
    """Point 13: wsgi.early_hints."""

    def test_before_the_answer(self) -> None:
        with self.host.connect() as wire:
            wire.send(f"GET {self.path('hints', 'wait=1')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            first, second = wire.head(), wire.head()
            self.assertEqual((first.status, second.status), (103, 103))
            self.assertEqual(first.header("Link"), "</style.css>; rel=preload; as=style")
            self.assertEqual(second.header("Link"), "</a.js>; rel=preload, </b.js>; rel=preload")
            for hint in (first, second):
                self.assertEqual({name.lower() for name, _ in hint.headers}, {"link"})
            self.host.release(self.token)
            self.assertEqual(wire.answer().body, b"after the hints")
            self.assertEqual(wire.ask("GET", "/hello").body, b"Hello, world!")

    def test_not_to_http_1_0(self) -> None:
        with self.host.connect() as wire:
            wire.send(f"GET {self.path('hints')} HTTP/1.0\r\n\r\n".encode())
            answer = wire.answer()
            self.assertEqual((answer.status, answer.body), (200, b"after the hints"))

    def test_bad_ones_are_refused(self) -> None:
        with self.host.connect() as wire:
            wire.send(
                f"GET {self.path('bad_hints')} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
            )
            sent = wire.rest()
        self.assertNotIn(b"X-Split", sent)
        self.assertTrue(sent.startswith(b"HTTP/1.1 200 "), sent)
        self.assertEqual(len(self.events()), 1, "refused where it is called")

    def test_not_behind_the_head(self) -> None:
        self.assertEqual(self.get("late_hints").body, b"one two")


load_tests = on_every_python((FileWrapper, Streaming, EarlyHints))
