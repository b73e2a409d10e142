"""WSGI, points 1 to 5: start_response, write(), exc_info, close(), lengths, answers without a body."""

from __future__ import annotations

from tests.python.hosting import HostCase, on_every_python
from tests.support import Answer, Wire


class Start(HostCase):
    """Point 1: when an answer begins."""

    def test_late_start(self) -> None:
        answer = self.get("late_start")
        self.assertEqual((answer.status, answer.reason, answer.body), (201, self.reason("Created"), b"late"))
        self.assertEqual(answer.header("X-Late"), "yes")

    def test_empty_chunks_send_no_head(self) -> None:
        answer = self.get("mind_changed")
        self.assertEqual((answer.status, answer.body), (503, b"replaced"))
        self.assertEqual((answer.header("X-First"), answer.header("X-Second")), (None, "yes"))

    def test_the_head_leaves_with_the_first_chunk(self) -> None:
        with self.host.connect() as wire:
            wire.send(f"GET {self.path('head_with_first_chunk')} HTTP/1.0\r\n\r\n".encode())
            self.assertEqual(wire.head().status, 200)
            self.assertEqual(wire.file.read(5), b"first")
            self.host.release(self.token)
            self.assertEqual(wire.rest(), b"second")

    def test_write(self) -> None:
        self.assertEqual(self.get("writes").body, b"one two three")
        answer = self.get("writes_only")
        self.assertEqual((answer.header("Content-Length"), answer.body), ("8", b"all of i"))

    def test_write_sends_at_once(self) -> None:
        with self.host.connect() as wire:
            wire.send(f"GET {self.path('writes', 'wait=1')} HTTP/1.0\r\n\r\n".encode())
            self.assertEqual(wire.head().status, 200)
            self.assertEqual(wire.file.read(4), b"one ")
            self.host.release(self.token)
            self.assertEqual(wire.rest(), b"two three")

    def test_write_of_text_is_refused_where_it_is_called(self) -> None:
        self.assertEqual(self.get("writes_text").body, b"done")
        self.assertIn(self.events()[0], ("TypeError", "AssertionError"))

    def test_no_head(self) -> None:
        for name in ("never_starts", "nothing_at_all"):
            with self.subTest(name):
                self.assertEqual(self.get(name).status, 500)
                self.assertEqual(self.host.wait_for(self.token, "close").count("close"), 1)
                self.token += "'"
        self.assertLogged("start_response")
        self.assertServes()

    def test_empty_bodies(self) -> None:
        for how in ("list", "blank", "blanks", "iterator"):
            with self.subTest(how), self.host.connect() as wire:
                answer = wire.ask("GET", self.path("empty", f"how={how}"))
                self.assertEqual((answer.status, answer.body), (200, b""))
                self.assertEqual(wire.ask("GET", "/hello").body, b"Hello, world!", "the connection is clean")

    def test_an_empty_list_has_a_length(self) -> None:
        self.assertEqual(self.get("empty", "how=list").header("Content-Length"), "0")


class ExcInfo(HostCase):
    """Point 2: start_response called again."""

    def test_before_the_head_left(self) -> None:
        answer = self.get("error_before_head")
        self.assertEqual((answer.status, answer.reason, answer.body), (500, self.reason("Oops"), b"oops"))
        self.assertEqual((answer.header("X-First"), answer.header("X-Second")), (None, "yes"))

    def test_after_the_head_left(self) -> None:
        with self.host.connect() as wire:
            wire.send(f"GET {self.path('error_after_head')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            with self.assertRaises((ConnectionError, ValueError)):
                wire.answer()
        self.assertEqual(self.events(), ["the same"])
        self.assertLogged("boom behind the head", tracebacks=1)
        self.assertServes()

    def test_twice_without_exc_info(self) -> None:
        self.assertEqual(self.get("starts_twice").status, 500)
        self.assertEqual(len(self.events()), 1, "it is an error where it is called")
        self.assertLogged(TRACE_OF_APPLICATION, tracebacks=1)


class Closing(HostCase):
    """Point 3: close() once, whatever happens."""

    def assertClosed(self, before: str | None = None) -> None:
        """close() was called once, behind what it has to come behind."""
        events = self.host.wait_for(self.token, "close")
        self.assertEqual(events.count("close"), 1, events)
        if before:
            self.assertLess(events.index(before), events.index("close"))
        self.token += "'"

    def test_after_the_last_byte(self) -> None:
        self.assertEqual(self.get("closing").body, b"012")
        self.assertClosed(before="end")

    def test_of_every_iterable(self) -> None:
        self.assertEqual(self.get("closing_list", "chunks=one").body, b"one")
        self.assertClosed()
        self.assertEqual(self.get("closing_list", "chunks=one,two,three").body, b"onetwothree")
        self.assertClosed()
        self.assertEqual(self.get("closing_generator").body, b"x" * 30)
        self.assertClosed()

    def test_without_a_body(self) -> None:
        for query in ("length=3", "", "status=204+No+Content", "status=304+Not+Modified"):
            for method in ("HEAD", "GET"):
                with self.subTest(query=query, method=method):
                    self.get("closing", query, method)
                    self.assertClosed()
        for name in ("closing_list", "closing_generator"):
            self.assertEqual(self.get(name, method="HEAD").status, 200)
            self.assertClosed()

    def test_when_it_fails(self) -> None:
        for fails in ("midway", "type"):
            with self.subTest(fails), self.host.connect() as wire:
                wire.send(
                    f"GET {self.path('closing', f'fails={fails}')} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
                )
                with self.assertRaises((ConnectionError, ValueError)):
                    wire.answer()
                self.assertClosed()
        self.assertEqual(self.get("closing", "fails=head").status, 500)
        self.assertServes()

    def test_when_the_length_is_wrong(self) -> None:
        for length in (1, 9):
            with self.subTest(length=length), self.host.connect() as wire:
                target = self.path("closing", f"length={length}")
                wire.send(f"GET {target} HTTP/1.0\r\n\r\n".encode())
                wire.rest()
                self.assertClosed()

    def test_when_the_client_leaves(self) -> None:
        wire = self.host.connect()
        wire.send(f"GET {self.path('endless')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wire.head()
        wire.reset()
        self.assertClosed()
        self.assertServes()

    def test_close_that_fails(self) -> None:
        for query, logged in (("", "in close"), ("with=exit", "SystemExit")):
            with self.subTest(query):
                mark = self.host.mark()
                answer = self.get("close_fails", query)
                self.assertEqual((answer.status, answer.body), (200, b"full"))
                self.assertClosed()
                self.mark = mark
                self.assertLogged(logged, tracebacks=1)
                self.assertServes()


class Lengths(HostCase):
    """Point 4: how an answer is framed."""

    def ask(self, wire: Wire, query: str, version: str = "1.1", more: str = "") -> Answer:
        """`/lengths` on a connection that is kept."""
        wire.send(f"GET {self.path('lengths', query)} HTTP/{version}\r\nHost: x\r\n{more}\r\n".encode())
        return wire.answer()

    def test_more_than_the_length(self) -> None:
        for query in (
            "length=5&chunks=0123456789",
            "length=5&chunks=01234,56789",
            "length=5&chunks=012,3456,789&as=iterator",
            "length=5&chunks=0123456789&as=write",
            "length=0&chunks=0123456789",
        ):
            with self.subTest(query), self.host.connect() as wire:
                self.mark = self.host.mark()
                answer = self.ask(wire, query)
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.body, b"01234"[: int(answer.header("Content-Length") or "")])
                wire.send(b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                self.assertRegex(wire.rest(), rb"^$|^HTTP/1\.1 200 ", "nothing of it behind the answer")
                self.assertLogged("(?i)content-length|longer|more")

    def test_less_than_the_length(self) -> None:
        for query in (
            "length=50&chunks=0123456789",
            "length=50&chunks=01234,56789",
            "length=50&chunks=&as=iterator",
            "length=50&chunks=0123456789&as=write",
        ):
            with self.subTest(query), self.host.connect() as wire:
                self.mark = self.host.mark()
                with self.assertRaises(ConnectionError):
                    self.assertEqual(self.ask(wire, query).status, 500, "or refused before the head left")
                    raise ConnectionError
                self.assertEqual(wire.rest(), b"", "closed")
                self.assertLogged("(?i)content-length|shorter|less|few")
        self.assertServes()

    def test_one_chunk_gets_a_length(self) -> None:
        for kind in ("list", "tuple"):
            with self.subTest(kind), self.host.connect() as wire:
                answer = self.ask(wire, f"chunks=hello&as={kind}")
                self.assertEqual(answer.header("Content-Length"), "5")
                self.assertIsNone(answer.header("Transfer-Encoding"))
                self.assertEqual(self.ask(wire, "chunks=again").body, b"again", "kept")

    def test_unknown_length_is_chunked(self) -> None:
        with self.host.connect() as wire:
            answer = self.ask(wire, "chunks=one,two,three&as=iterator")
            self.assertEqual((answer.header("Transfer-Encoding"), answer.body), ("chunked", b"onetwothree"))
            self.assertIsNone(answer.header("Content-Length"))
            self.assertEqual(self.ask(wire, "chunks=again").body, b"again", "kept")

    def test_unknown_length_closes_http_1_0(self) -> None:
        for more in ("", "Connection: keep-alive\r\n"):
            with self.subTest(more), self.host.connect() as wire:
                answer = self.ask(wire, "chunks=one,two,three&as=iterator", "1.0", more)
                self.assertEqual(answer.body, b"onetwothree")
                self.assertIsNone(answer.header("Transfer-Encoding"))
                self.assertNotEqual((answer.header("Connection") or "").lower(), "keep-alive")
                self.assertEqual(wire.rest(), b"", "closed")

    def test_known_length_keeps_http_1_0(self) -> None:
        with self.host.connect() as wire:
            for _ in range(2):
                answer = self.ask(wire, "chunks=hello", "1.0", "Connection: keep-alive\r\n")
                self.assertEqual((answer.body, answer.header("Connection")), (b"hello", "keep-alive"))

    def test_a_list_that_lies(self) -> None:
        with self.host.connect() as wire:
            answer = wire.ask("GET", self.path("returns", "what=list+that+grows"))
            self.assertEqual(answer.body, b"onetwothree"[: len(answer.body)])
            self.assertIn(len(answer.body), (3, 11), "the first chunk or all of them")
            self.assertEqual(wire.ask("GET", "/hello").body, b"Hello, world!", "clean")


class Bodiless(HostCase):
    """Point 5: HEAD, 204, 304."""

    def ask(self, method: str, query: str, kept: Wire) -> Answer:
        """The answer; that nothing follows it is seen by the next one."""
        answer = kept.ask(method, self.path("bodiless", query))
        self.assertEqual(kept.ask("GET", "/hello").body, b"Hello, world!", query)
        return answer

    def test_bodies_are_not_sent(self) -> None:
        with self.host.connect() as wire:
            for status in ("204 No Content", "304 Not Modified", "200 OK"):
                for query in ("", "&length=1", "&as=iterator", "&length=1&as=iterator"):
                    for method in ("HEAD", "GET")[status == "200 OK" :]:
                        answer = self.ask(method, f"status={status.replace(' ', '+')}{query}", wire)
                        self.assertEqual(answer.status, int(status[:3]))
                    answer = self.ask("HEAD", f"status={status.replace(' ', '+')}{query}", wire)
                    self.assertEqual(answer.status, int(status[:3]))

    def test_head_has_what_get_has(self) -> None:
        with self.host.connect() as wire:
            for query in ("status=200+OK&length=1", "status=200+OK"):
                head = self.ask("HEAD", query, wire)
                get = wire.ask("GET", self.path("bodiless", query))
                self.assertEqual(get.body, b"body")
                for name in ("Content-Length", "X-Kept", "Content-Type"):
                    self.assertEqual(head.header(name), get.header(name), name)

    def test_no_length_with_204(self) -> None:
        with self.host.connect() as wire:
            for query in ("", "&length=1"):
                answer = self.ask("GET", f"status=204+No+Content{query}", wire)
                self.assertIsNone(answer.header("Content-Length"))
                self.assertIsNone(answer.header("Transfer-Encoding"))
            self.assertEqual(self.ask("GET", "status=204+No+Content", wire).header("X-Kept"), "yes")

    def test_304_keeps_its_headers(self) -> None:
        with self.host.connect() as wire:
            answer = self.ask("GET", "status=304+Not+Modified&length=1", wire)
            self.assertEqual(answer.header("Content-Length"), "4")
            answer = self.ask("GET", "status=304+Not+Modified", wire)
            self.assertEqual((answer.header("X-Kept"), answer.header("Transfer-Encoding")), ("yes", None))


TRACE_OF_APPLICATION = r"answering\.py"

load_tests = on_every_python((Start, ExcInfo, Closing, Lengths, Bodiless))
