"""WSGI, points 7 to 9: environ, wsgi.input, what wsgi.multithread and wsgi.errors say."""

from __future__ import annotations

import io
import json
import random
import sys
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote_plus

from tests.python.hosting import APPS, HostCase, OwnHosts, on_every_python
from tests.support import Answer, until

sys.path.insert(0, str(APPS))

operate = __import__("receiving").operate

BODY = b"first line\r\nsecond\n\nfourth \xff\x00\xe9 \r\r\n" + b"x" * 300 + b"\nlast without an end"


class Environ(HostCase):
    """Point 7: what an application is told."""

    def environ(self, head: str, body: bytes = b"") -> dict[str, Any]:
        """environ of a request that is sent as it stands."""
        with self.host.connect() as wire:
            wire.send(head.replace("\n", "\r\n").encode("latin-1") + b"\r\n" + body)
            answer = wire.answer()
        self.assertEqual(answer.status, 200, answer)
        self.dump = json.loads(answer.body)
        environ: dict[str, Any] = self.dump["environ"]
        return environ

    def test_types(self) -> None:
        self.environ("GET /environ HTTP/1.1\nHost: x\nX-Latin: \xe9\xff\n")
        self.assertEqual(self.dump["types"], {"": "dict", "keys": ["str"], "strings": ["str"]})

    def test_of_a_plain_get(self) -> None:
        environ = self.environ("GET /environ HTTP/1.1\nHost: example.org:81\n")
        for key, value in {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/environ",
            "QUERY_STRING": "",
            "REQUEST_URI": "/environ",
            "SERVER_PROTOCOL": self.carrier.version,
            "SERVER_PORT": str(self.host.port),
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "example.org:81",
            "wsgi.version": [1, 0],
            "wsgi.url_scheme": self.carrier.scheme,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
        }.items():
            self.assertEqual(environ.get(key), value, key)
        self.assertRegex(environ["REMOTE_PORT"], r"^\d+$")
        self.assertTrue(environ["SERVER_NAME"])
        for key in ("wsgi.input", "wsgi.errors", "wsgi.file_wrapper"):
            self.assertIn(key, environ)
        self.assertIn(environ.get("CONTENT_LENGTH", ""), ("", "0"))
        self.assertEqual(environ.get("CONTENT_TYPE", ""), "")

    def test_of_a_post(self) -> None:
        environ = self.environ(
            "POST /environ HTTP/1.1\nHost: x\nContent-Type: text/x; a=b\ncontent-length: 3\n", b"abc"
        )
        self.assertEqual((environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]), ("text/x; a=b", "3"))
        for key in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"):
            self.assertNotIn(key, environ)

    def test_of_a_chunked_post(self) -> None:
        environ = self.environ(
            "POST /environ HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n", b"3\r\nabc\r\n0\r\n\r\n"
        )
        self.assertNotIn("CONTENT_LENGTH", environ, "the body streams")
        self.assertTrue(environ["wsgi.input_terminated"])

    def test_paths(self) -> None:
        for target, path in (
            ("/environ//b;c=1/%2F/%e2%82%ac/%ff/%41", "/environ//b;c=1///\xe2\x82\xac/\xff/A"),
            ("/environ/a+b%20c%2525", "/environ/a+b c%25"),
            ("/environ/", "/environ/"),
            ("http://elsewhere/environ/absolute", "/environ/absolute"),
        ):
            with self.subTest(target):
                query = "x=%2F&y=%C3%A9&z=a+b&&=?#"[:-1]
                environ = self.environ(f"GET {target}?{query} HTTP/1.1\nHost: x\n")
                self.assertEqual(environ["PATH_INFO"], path)
                self.assertEqual(environ["QUERY_STRING"], query)
                self.assertTrue(environ["REQUEST_URI"].endswith(f"{target.split('elsewhere')[-1]}?{query}"))

    def test_an_empty_query(self) -> None:
        self.assertEqual(self.environ("GET /environ? HTTP/1.1\nHost: x\n")["QUERY_STRING"], "")

    def test_headers(self) -> None:
        environ = self.environ(
            "GET /environ HTTP/1.1\nHost: x\nX-Twice: one\nx-twice: two\nCookie: a=1\nCookie: b=2\n"
            "X_Under: dropped\nX-Latin: \x80\xe9\xff\nX-Empty:\nX-Space: \t in  side \t\n"
            "X-Digits-123: yes\nAuthorization: Basic eDp5\n"
        )
        self.assertEqual(environ["HTTP_X_TWICE"].replace(", ", ","), "one,two")
        self.assertEqual(environ["HTTP_COOKIE"], "a=1; b=2")
        self.assertEqual(environ["HTTP_X_LATIN"], "\x80\xe9\xff")
        self.assertEqual((environ["HTTP_X_EMPTY"], environ["HTTP_X_SPACE"]), ("", "in  side"))
        self.assertEqual((environ["HTTP_X_DIGITS_123"], environ["HTTP_AUTHORIZATION"]), ("yes", "Basic eDp5"))
        self.assertNotIn("HTTP_X_UNDER", environ)

    def test_nothing_is_left_behind(self) -> None:
        with self.host.connect() as wire:
            for more in ({"X-One": "1"}, {"X-Two": "2"}, {}):
                answer = wire.ask("GET", "/environ", more)
                seen = json.loads(answer.body)["environ"]
                own = {key for key in seen if key.startswith("HTTP_X") or "left" in key.lower()}
                self.assertEqual(own, {f"HTTP_{name.upper().replace('-', '_')}" for name in more})

    def test_methods(self) -> None:
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "CUSTOM", "get"):
            self.assertEqual(self.environ(f"{method} /environ HTTP/1.1\nHost: x\n")["REQUEST_METHOD"], method)

    def test_http_1_0(self) -> None:
        environ = self.environ("GET /environ HTTP/1.0\n")
        self.assertEqual(environ["SERVER_PROTOCOL"], "HTTP/1.0")
        self.assertNotIn("HTTP_HOST", environ)

    def test_every_byte_in_every_header(self) -> None:
        high = "".join(map(chr, range(0x80, 0x100)))
        for name in (
            *("Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cookie", "Content-Type"),
            *("Content-Length", "Connection", "Expect", "Forwarded", "Host", "If-Match", "If-None-Match"),
            *("If-Modified-Since", "If-Range", "Keep-Alive", "Origin", "Range", "Referer", "TE", "Trailer"),
            *("Transfer-Encoding", "Upgrade", "User-Agent", "Via", "X-Forwarded-For", "X-Forwarded-Proto"),
            *("Sec-WebSocket-Key", "X-Any", "Proxy", "Date", "From", "Max-Forwards", "HTTP2-Settings"),
        ):
            for value in (high, f"x{high}", f"a=1; b={high}, c"):
                with self.subTest(name=name), self.host.connect() as wire:
                    host = "" if name == "Host" else "Host: x\r\n"
                    head = f"GET /environ HTTP/1.1\r\n{host}{name}: {value}\r\nConnection: close\r\n\r\n"
                    wire.send(head.encode("latin-1"))
                    answer = wire.answer()
                    self.assertIn(answer.status, (200, 400, 417, 501), name)
                    key = "HTTP_" + name.upper().replace("-", "_")
                    if answer.status == 200 and name.startswith(("X-A", "User", "Ref", "Coo", "If", "Ori")):
                        self.assertEqual(json.loads(answer.body)["environ"][key], value)
        self.assertServes()
        self.assertNotIn("panic", self.logged().lower())


class Input(HostCase):
    """Point 8: wsgi.input is a file, whatever the framing, and is not waited for."""

    def post(self, name: str, query: str, body: bytes, chunked: bool, pieces: int = 1) -> Answer:
        """A body in some pieces, each its own packet."""
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
        with self.host.connect() as wire:
            wire.send(
                f"POST {self.path(name, query)} HTTP/1.1\r\nHost: x\r\n{framing}\r\n"
                "Connection: close\r\n\r\n".encode()
            )
            step = -(-len(body) // pieces) or 1
            for start in range(0, len(body), step):
                piece = body[start : start + step]
                wire.send(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            if chunked:
                wire.send(b"0\r\n\r\n")
            return wire.answer()

    def assertReads(self, operations: list[str], body: bytes = BODY) -> None:
        """The operations give what io.BytesIO gives."""
        source = io.BytesIO(body)
        expected = [operate(source, operation) for operation in operations]
        for chunked in (False, True):
            for pieces in (1, 7):
                with self.subTest(operations=operations, chunked=chunked, pieces=pieces):
                    query = f"do={quote_plus('|'.join(operations))}"
                    answer = self.post("operations", query, body, chunked, pieces)
                    self.assertEqual(answer.status, 200, self.logged())
                    self.assertEqual(json.loads(answer.body), expected)

    def test_read(self) -> None:
        self.assertReads(["read()", "read()", "read(5)", "readline()", "readlines()", "list"])
        self.assertReads(["read(-1)", "read(-1)"])
        self.assertReads(["read(None)"])
        self.assertReads(["read(0)", "read(1)", "read(3)", "read(9999)", "read(1)", "read(0)"])

    def test_lines(self) -> None:
        self.assertReads(["readline()"] * 9)
        self.assertReads(["readline(3)", "readline(100)", "readline(0)", "readline(-1)", "readline(1)"])
        self.assertReads(["readlines()", "readlines()"])
        self.assertReads(["readlines(1)", "readlines(12)", "readlines(0)"])
        self.assertReads(["next", "next", "list", "next"])
        self.assertReads(["read(4)", "readline()", "next", "read(2)", "readlines()"])

    def test_no_body(self) -> None:
        self.assertReads(["read()", "read(5)", "readline()", "readlines()", "list", "next"], b"")

    def test_any_mixture(self) -> None:
        chance = random.Random(5)
        names = ("read(%d)", "readline(%d)", "readline()", "next", "read(%d)")
        for _ in range(4):
            operations = []
            for _ in range(12):
                name = chance.choice(names)
                operations.append(name % chance.randrange(1, 60) if "%" in name else name)
            self.assertReads([*operations, "read()"])

    def test_a_body_streams(self) -> None:
        rest = b"67890" * 20_000  # a short body may be read before the call
        for framing, first, last in (
            (f"Content-Length: {len(rest) + 5}\r\n", b"12345", rest),
            ("Transfer-Encoding: chunked\r\n", b"5\r\n12345\r\n", b"5\r\n67890\r\n" * 20_000 + b"0\r\n\r\n"),
        ):
            with self.subTest(framing), self.host.connect() as wire:
                self.send(wire, "reads_some", framing, first)
                self.assertEqual(self.host.wait_for(self.token, "12345"), ["12345"])
                self.assertTrue(wire.send(last).answer().body == rest)
                self.token += "'"

    def test_bodies_that_come_behind_their_heads(self) -> None:
        content = bytes(range(100))
        for _ in range(200):
            with self.host.connect() as wire:
                self.send(wire, "echo", "Transfer-Encoding: chunked\r\n")
                wire.send(b"64\r\n%s\r\n0\r\n\r\n" % content)
                self.assertEqual(wire.answer().body, content)

    def test_a_line_in_and_a_line_out(self) -> None:
        with self.host.connect() as wire:
            self.send(wire, "interleaves", "Transfer-Encoding: chunked\r\n")
            for number in range(3):
                wire.send(b"6\r\nline%d\n\r\n" % number)
                if number == 0:
                    self.assertEqual(wire.head().header("Transfer-Encoding"), "chunked")
                self.assertEqual(wire.file.readline(), b"8\r\n")
                self.assertEqual(wire.file.readline(), b"> line%d\n" % number)
                wire.file.readline()
            self.assertEqual(wire.send(b"0\r\n\r\n").file.readline(), b"0\r\n")

    def test_continue_at_the_first_read(self) -> None:
        for name in ("reads_some", "echo"):
            with self.subTest(name), self.host.connect() as wire:
                self.send(wire, name, "Content-Length: 10\r\nExpect: 100-continue\r\n")
                self.assertEqual(wire.answer().status, 100)
                self.assertIn(wire.send(b"1234567890").answer().body, (b"67890", b"1234567890"))
                self.token += "'"

    def test_no_continue_without_a_read(self) -> None:
        with self.host.connect() as wire:
            self.send(wire, "reads_nothing", "Content-Length: 10\r\nExpect: 100-continue\r\n")
            self.assertEqual(wire.answer().body, b"unread")

    def test_no_continue_behind_the_head(self) -> None:
        with self.host.connect() as wire:
            self.send(wire, "reads_late", "Content-Length: 4\r\nExpect: 100-continue\r\n")
            wire.send(b"body")
            self.assertEqual(wire.answer().body, b"head body")

    def test_an_unread_body_is_no_request(self) -> None:
        smuggled = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
        for body in (smuggled, smuggled * 5000):
            with self.subTest(len(body)), self.host.connect() as wire:
                self.send(wire, "reads_nothing", f"Content-Length: {len(body)}\r\n")
                try:
                    wire.send(body)
                    self.assertEqual(wire.answer().body, b"unread")
                    wire.send(b"GET /environ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    rest = wire.rest()
                except ConnectionError:
                    rest = b""  # closed: it need not read what nobody wants
                self.assertNotIn(b"Hello", rest)

    def test_a_client_that_leaves_midway(self) -> None:
        for framing, body in (
            ("Content-Length: 100000\r\n", b"half"),
            ("Content-Length: 100\r\nExpect: 100-continue\r\n", b"half"),
            ("Transfer-Encoding: chunked\r\n", b"64\r\nhalf"),
            ("Transfer-Encoding: chunked\r\n", b"4\r\nhalf\r\n"),
        ):
            with self.subTest(framing=framing, body=body):
                wire = self.host.connect()
                self.send(wire, "reads_all", framing, body)
                self.host.wait_for(self.token, "called")
                wire.reset()
                until("the read ends", lambda: len(self.events()) > 1)
                self.assertRegex(self.events()[1], "^OSError after", "an upload that was cut is not whole")
                self.token += "'"
        self.assertServes()

    def test_bad_chunks_midway(self) -> None:
        for body in (b"4\r\ngood\r\nzz\r\nbad\r\n", b"4\r\ngoodbad\r\n"):
            with self.subTest(body), self.host.connect() as wire:
                self.send(wire, "reads_all", "Transfer-Encoding: chunked\r\n", body)
                answer = wire.answer()
                self.assertIn(answer.status, (400, 500))
                self.assertEqual(wire.rest(), b"", "closed")
                self.assertNotRegex(self.events()[-1] if self.events() else "", "^all")
                self.token += "'"
        self.assertServes()


class Truth(HostCase):
    """Point 9: wsgi.multithread, wsgi.errors."""

    def test_errors_reach_the_log(self) -> None:
        self.assertEqual(self.get("complains").body, b"complained")
        for said in ("written", "line one", "line two", "printed é"):
            self.assertLogged(f"{self.token} {said}")

    def test_validated(self) -> None:
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
            with self.host.connect() as wire:
                target = self.path("validated", "a=b")
                body = b"12345" if method in ("POST", "PUT") else b""
                length = f"Content-Length: {len(body)}\r\nContent-Type: text/plain\r\n" if body else ""
                wire.send(f"{method} {target} HTTP/1.1\r\nHost: x\r\n{length}\r\n".encode() + body)
                answer = wire.answer(method)
                self.assertEqual((answer.status, answer.header("X-Method")), (200, method), self.logged())
                if method != "HEAD":
                    self.assertEqual(answer.body, b"read %d bytes" % len(body))
        with self.host.connect() as wire:
            self.send(wire, "validated_stream", "Content-Length: 7\r\n", b"a\nb\nc\nd")
            self.assertEqual(wire.answer().body, b"a\nb\nc\nd", self.logged())
        self.assertNotIn("AssertionError", self.logged())


class OneThread(HostCase):
    """`--threads 1` says so."""

    OPTIONS = ("--threads", "1")

    def test_multithread(self) -> None:
        environ = json.loads(self.host.get("/environ").body)["environ"]
        self.assertEqual((environ["wsgi.multithread"], environ["wsgi.run_once"]), (False, False))


class Addresses(OwnHosts):
    """Whose request it is, where clients of several addresses take turns, and requests come with few fields and with many."""

    def test_each_request_has_its_own(self) -> None:
        folder = self.temporary()
        folder.write("whose.py", WHOSE)
        mounts = ("--mount", "/class=whose:Class", "--mount", "/asgi=whose:asgi")
        self.serve("whose:wsgi", *mounts, folder=folder.path)
        for address in ("127.0.0.1", "127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.1"):
            for path in ("/", "/class/", "/asgi/"):
                for count in (0, 1, 40):
                    fields = {f"X-{number}": address for number in range(count)}
                    connection = HTTPConnection("127.0.0.1", self.host.port, source_address=(address, 0))
                    connection.request("GET", path, headers=fields)
                    told = json.loads(connection.getresponse().read())
                    connection.close()
                    # Host and Accept-Encoding are there always.
                    self.assertEqual(told, [address, count + 2], (path, count))


WHOSE = """
import json
from http.server import BaseHTTPRequestHandler

def wsgi(environ, start_response):
    start_response("200 OK", [])
    count = sum(name.startswith("HTTP_") for name in environ)
    return [json.dumps([environ["REMOTE_ADDR"], count]).encode()]

class Class(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps([self.client_address[0], len(self.headers)]).encode())

async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200})
        told = json.dumps([scope["client"][0], len(scope["headers"])])
        await send({"type": "http.response.body", "body": told.encode()})
"""

load_tests = on_every_python((Environ, Input, Truth, OneThread), (Addresses,))
