"""Handler classes of http.server, hosted as they stand."""

from __future__ import annotations

import json
import os
from typing import Any

from tests.python.hosting import HOST, HostCase, on_every_python
from tests.support import until

OURS = HOST == "salver"


class Attributes(HostCase):
    """What a handler is given."""

    TARGET = "handlers:Dump"

    def dump(self, head: str, method: str = "GET") -> Any:
        """What the handler saw of a head."""
        with self.host.connect() as wire:
            wire.send(head.replace("\n", "\r\n").encode("latin-1") + b"\r\n")
            answer = wire.answer(method)
            self.assertEqual(answer.status, 200, answer)
            self.port = wire.address[1]
            return json.loads(answer.body)

    def test_all_of_them(self) -> None:
        line = "GET //a%20b/../c?x=%2F&y HTTP/1.1"  # which is what a handler is told of HTTP/2, too
        seen = self.dump(f"{line}\nHost: x:1\nX-Twice: one\nx-twice: two\nX-Latin: \xe9\n")
        for name, value in {
            "requestline": line,
            "command": "GET",
            "request_version": "HTTP/1.1",
            "headers": "http.client.HTTPMessage",
            "host": "x:1",
            "all": ["one", "two"],
            "type": "text/plain",
            "client": ["127.0.0.1", self.port],
            "client_type": "tuple",
            "server_port": self.host.port,
            "server_name": "str",
            "server_address": ["127.0.0.1", self.host.port],
            "raw_requestline": line + "\r\n",
            "close_connection": False,
            "address_string": "127.0.0.1",
            "readable": True,
            "writable": True,
            "connection": True,
        }.items():
            self.assertEqual(seen[name], value, name)
        self.assertRegex(seen["path"], r"^/{1,2}a%20b/\.\./c\?x=%2F&y$")
        self.assertEqual(
            [[name.lower(), value] for name, value in seen["pairs"] if name != "Host"],
            [["x-twice", "one"], ["x-twice", "two"], ["x-latin", "\xe9"]],
        )

    def test_close_connection(self) -> None:
        self.assertTrue(self.dump("GET /x HTTP/1.1\nHost: x\nConnection: close\n")["close_connection"])
        self.assertTrue(self.dump("GET /x HTTP/1.0\n")["close_connection"])
        self.assertEqual(self.dump("GET /x HTTP/1.0\n")["request_version"], "HTTP/1.0")

    def test_any_verb(self) -> None:
        for verb in ("GET", "DELETE", "PROPFIND"):
            self.assertEqual(self.dump(f"{verb} /x HTTP/1.1\nHost: x\n")["command"], verb)
        with self.host.connect() as wire:
            answer = wire.ask("HEAD", "/x")
            self.assertGreater(int(answer.header("Content-Length") or 0), 100)
            self.assertEqual(wire.ask("GET", "/hello").body, b"Hello, world!")

    def test_unknown_verbs(self) -> None:
        for verb in ("FOO", "PATCH", "OPTIONS", "get"):
            answer = self.get("x", method=verb)
            self.assertEqual(answer.status, 501)
            self.assertIn(b"Unsupported method", answer.body)
        self.assertServes()

    def test_bodies(self) -> None:
        body = b"one\ntwo\r\nthree\nrest"
        for do, read in {
            "read": body,
            "lines": b"one\n|two\r\n|three\n",
            "readinto": body,
            "half": body[: len(body) // 2],
            "nothing": b"unread",
        }.items():
            with self.subTest(do), self.host.connect() as wire:
                head = f"POST {self.path('x', f'do={do}')} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
                wire.send(head.encode() + b"\r\n" + body)
                self.assertEqual(wire.answer().body, read)

    def test_an_unread_body_is_no_request(self) -> None:
        if not OURS:
            self.skipTest("http.server takes it for one")
        smuggled = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
        with self.host.connect() as wire:
            head = f"POST {self.path('x', 'do=nothing')} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(smuggled)}\r\n"
            wire.send(head.encode() + b"\r\n" + smuggled)
            self.assertEqual(wire.answer().body, b"unread")
            wire.send(b"GET /only HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            self.assertNotIn(b"Hello", wire.rest())

    def test_continue(self) -> None:
        with self.host.connect() as wire:
            wire.send(
                f"PUT {self.path('x')} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
                "Expect: 100-continue\r\n\r\n".encode()
            )
            self.assertEqual(wire.head().status, 100)
            self.assertEqual(wire.send(b"body").answer().body, b"body")
            self.assertEqual(wire.ask("GET", "/hello").body, b"Hello, world!")

    def test_a_large_body_streams(self) -> None:
        body = bytes(range(256)) * 8192
        with self.host.connect() as wire:
            head = f"POST {self.path('x')} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            wire.send(head.encode() + body)
            self.assertTrue(wire.answer().body == body)


class Answers(HostCase):
    """What a handler writes is raw HTTP: parsed, and framed anew."""

    TARGET = "handlers:Answers"

    def test_send_error(self) -> None:
        answer = self.get("error")
        self.assertEqual((answer.status, answer.reason), (404, self.reason("No <such> thing")))
        self.assertIn(b"No &lt;such&gt; thing", answer.body)
        self.assertIn(b"It was here &amp; went", answer.body)
        self.assertEqual(self.get("plain_error").status, 418)
        self.assertEqual(self.get("error", method="HEAD").body, b"")

    def test_without_a_body(self) -> None:
        with self.host.connect() as wire:
            for name, status in (("no_content", 204), ("not_modified", 304)):
                answer = wire.ask("GET", self.path(name))
                self.assertEqual(answer.status, status)
                self.assertEqual(answer.header("ETag"), '"x"' if status == 304 else None)
                self.assertEqual(wire.ask("GET", "/hello").body, b"Hello, world!")

    def test_headers(self) -> None:
        answer = self.get("headers")
        self.assertEqual((answer.status, answer.reason, answer.body), (299, self.reason("Own Reason"), b"ok"))
        cookies = [value for name, value in answer.headers if name.lower() == "set-cookie"]
        self.assertEqual(cookies, ["a=1", "b=2"])
        self.assertEqual((answer.header("X-Latin"), answer.header("X-Empty")), ("\xe4", ""))
        for name in ("date", "server"):
            self.assertEqual(len([key for key, _ in answer.headers if key.lower() == name]), 1, name)

    def test_bodies_of_every_frame(self) -> None:
        for name in ("until_close", "chunked"):
            for version in ("1.0", "1.1"):
                if (name, version) == ("chunked", "1.0") and not OURS:
                    continue  # http.server sends chunks to HTTP/1.0
                with self.subTest(name, version=version), self.host.connect() as wire:
                    wire.send(f"GET {self.path(name)} HTTP/{version}\r\nHost: x\r\n\r\n".encode())
                    self.assertEqual(wire.answer().body, b"one two three")

    def test_raw_bytes(self) -> None:
        for step in (1, 2, 7, 1000):
            with self.subTest(step=step), self.host.connect() as wire:
                for _ in range(2):
                    answer = wire.ask("GET", self.path("raw", f"step={step}"))
                    self.assertEqual((answer.status, answer.reason), (202, self.reason("Taken As Is")))
                    self.assertEqual((answer.header("X-Raw"), answer.body), ("yes", b"raw body"))

    def test_streams(self) -> None:
        with self.host.connect() as wire:
            wire.send(f"GET {self.path('drip')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            self.assertEqual(wire.head().header("Content-Length"), "24")
            for number in range(3):
                self.assertEqual(wire.file.read(8), b"piece %d\n" % number)
                self.host.release(self.token)
            self.assertEqual(wire.ask("GET", "/hello").body, b"Hello, world!")

    def test_a_large_write(self) -> None:
        self.assertEqual(len(self.get("large").body), 8 << 20)

    def test_a_client_that_leaves(self) -> None:
        wire = self.host.connect()
        wire.send(f"GET {self.path('endless')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wire.head()
        wire.reset()
        self.host.wait_for(self.token, "OSError True")
        self.assertServes()

    def test_more_than_the_length(self) -> None:
        if not OURS:
            self.skipTest("http.server sends it")
        with self.host.connect() as wire:
            answer = wire.ask("GET", self.path("too_much"))
            self.assertEqual((answer.header("Content-Length"), answer.body), ("4", b"four"))
            wire.send(b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            self.assertNotIn(b"smuggled", wire.rest())

    def test_less_than_the_length(self) -> None:
        with self.host.connect() as wire:
            wire.socket.settimeout(5)
            with self.assertRaises((ConnectionError, TimeoutError, OSError)):
                wire.ask("GET", self.path("too_little"))
        self.assertServes()

    def test_what_is_no_answer(self) -> None:
        if not OURS:
            self.skipTest("http.server sends what it is given")
        for name in ("nothing", "garbage", "split"):
            with self.subTest(name):
                self.mark = self.host.mark()
                answer = self.get(name)
                self.assertIn(answer.status, (500, 502))
                self.assertNotIn(b"\0", answer.body)
                self.assertLogged(self.access_line(rf"GET /{name}\S*") + "50")
                self.assertServes()

    def test_exceptions(self) -> None:
        process = json.loads(self.get("process").body)[0]
        for what in ("error", "exit", "interrupt") if OURS else ("error",):
            with self.subTest(what), self.host.connect() as wire:
                self.mark = self.host.mark()
                if OURS:
                    answer = wire.ask("GET", self.path("raises", f"what={what}"))
                    self.assertEqual(answer.status, 500)
                    self.assertNotIn(b"boom", answer.body)
                else:
                    with self.assertRaises(ConnectionError):
                        wire.ask("GET", self.path("raises", f"what={what}"))
                self.assertLogged("boom of the handler", tracebacks=1)
            with self.subTest(what, when="behind"), self.host.connect() as wire:
                self.mark = self.host.mark()
                with self.assertRaises(ConnectionError):
                    wire.ask("GET", self.path("raises", f"what={what}&when=behind"))
                self.assertLogged("boom of the handler", tracebacks=1)
            self.assertServes()
        self.assertEqual(json.loads(self.get("process").body)[0], process)

    def test_what_is_exhausted(self) -> None:
        if not OURS:
            self.skipTest("http.server closes the connection")
        for what, error in (("stack", "RecursionError"), ("memory", "MemoryError")):
            with self.subTest(what):
                self.mark = self.host.mark()
                self.assertEqual(self.get("exhausts", f"what={what}").status, 500)
                self.assertLogged(error, tracebacks=1)
                self.assertServes()

    def test_state_on_the_server(self) -> None:
        self.assertEqual([self.get("counter").body for _ in range(3)], [b"1", b"2", b"3"])

    def test_several_at_once(self) -> None:
        with self.host.connect() as first, self.host.connect() as second:
            for wire in (first, second):
                wire.send(f"GET {self.path('waits')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            until("both are in", lambda: self.events() == ["in", "in"])
            self.assertServes()
            self.host.release(self.token)
            self.host.release(self.token)
            self.assertEqual([wire.answer().body for wire in (first, second)], [b"awake", b"awake"])

    def test_one_access_line(self) -> None:
        self.get("own_log")
        self.assertLogged(self.access_line(r"GET /own_log\S*") + "200 ")
        self.assertEqual(self.logged().count('"GET /own_log'), 1, self.logged())
        self.assertRegex(self.logged(), r"127\.0\.0\.1 - - \[[^]]+\] own message with an argument")


class OldProtocol(HostCase):
    """A class that speaks HTTP/1.0."""

    TARGET = "handlers:OldProtocol"

    def test_answers_end(self) -> None:
        for version in ("1.0", "1.1"):
            for close in ("", "Connection: close\r\n"):
                with self.subTest(version=version, close=close), self.host.connect() as wire:
                    wire.send(f"GET /x HTTP/{version}\r\nHost: x\r\n{close}\r\n".encode())
                    answer = wire.answer()
                    self.assertEqual(
                        (answer.body, answer.header("Content-Type")), (b"old protocol", "text/plain")
                    )


class Overrides(HostCase):
    """Classes that override setup, handle or finish have the real handle()."""

    TARGET = "handlers:Overrides"

    def test_order(self) -> None:
        self.assertEqual(self.get("x").body, b"overridden")
        until("finish", lambda: self.host.events("overrides")[:3] == ["setup", "handle", "finish"])

    def test_bodies(self) -> None:
        with self.host.connect() as wire:
            self.send(wire, "x", "Content-Length: 4\r\n", b"body")
            self.assertEqual(wire.answer().body, b"body")


class ByHand(HostCase):
    """handle() with nothing but the socket."""

    TARGET = "handlers:ByHand"
    MARKS = False

    def test_a_request(self) -> None:
        for version in ("1.0", "1.1"):
            with self.host.connect() as wire:
                wire.send(f"GET /any?x HTTP/{version}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                self.assertEqual(wire.answer().body, f"by hand: GET /any?x HTTP/{version}".encode())


class Quiet(HostCase):
    """log_message overridden is log_message called."""

    TARGET = "handlers:Quiet"
    MARKS = False

    def test_it_is_called(self) -> None:
        self.assertEqual(self.get("x").body, b"quiet")
        until("it is noted", lambda: any("/x?" in event for event in self.host.events("quiet")))
        self.assertRegex(self.host.events("quiet")[0], r'^"GET /x\S* HTTP/1\.1" 200 ')


class SimpleHandler(HostCase):
    """A subclass of SimpleHTTPRequestHandler with a folder and a header of its own."""

    TARGET = "handlers:Folder"
    MARKS = False

    def test_files(self) -> None:
        folder = self.temporary()
        folder.write("file.txt", "content")
        folder.write("sub/index.html", "index")
        host = self.serve(self.TARGET, environment={"FOLDER": str(folder.path)})
        for path, status, body in (
            ("/file.txt", 200, b"content"),
            ("/sub/", 200, b"index"),
            ("/", 200, b"file.txt"),
            ("/missing", 404, b""),
            ("/sub", 301, b""),
        ):
            with self.subTest(path):
                answer = host.get(path)
                self.assertEqual((answer.status, answer.header("X-Folder")), (status, "yes"))
                self.assertIn(body, answer.body)
        self.assertEqual(host.get("/file.txt").header("Content-Type"), "text/plain")

    @classmethod
    def setUpClass(cls) -> None:
        os.environ.setdefault("FOLDER", "/")
        super().setUpClass()


load_tests = on_every_python((Attributes, Answers, OldProtocol, Overrides, ByHand, Quiet, SimpleHandler))
