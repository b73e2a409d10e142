"""Handler classes: `handlers:Dump` and so on, each a `BaseHTTPRequestHandler` as people write them."""

from __future__ import annotations

import json
import os
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import failing
import routes


class Base(BaseHTTPRequestHandler):
    """Keeps connections, notes events under the token of a request, answers JSON."""

    protocol_version = "HTTP/1.1"

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}

    @property
    def name(self) -> str:
        """The path without its slash."""
        return urlsplit(self.path).path.strip("/")

    def environ(self) -> dict[str, Any]:
        """What the functions of routes.py want."""
        return {"QUERY_STRING": urlsplit(self.path).query}

    def note(self, event: object) -> None:
        """Remember an event."""
        routes.note(self.environ(), event)

    def answer(self, body: bytes, status: int = 200) -> None:
        """A plain answer with its length."""
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def common(self) -> bool:
        """Answers /events, /release and /hello."""
        if self.name not in ("events", "release", "hello"):
            return False
        body = routes.ROUTES[self.name](self.environ(), lambda *_: lambda _: None)
        self.answer(b"".join(body))
        return True


class Dump(Base):
    """Says what it was given."""

    def do_GET(self) -> None:
        """All attributes that the documentation names."""
        if self.common():
            return
        server: Any = self.server
        this: Any = self
        shown = {
            "requestline": self.requestline,
            "command": self.command,
            "path": self.path,
            "request_version": self.request_version,
            "headers": type(self.headers).__module__ + "." + type(self.headers).__name__,
            "pairs": self.headers.items(),
            "host": self.headers["hOST"],
            "all": self.headers.get_all("X-Twice"),
            "type": self.headers.get_content_type(),
            "client": list(self.client_address),
            "client_type": type(self.client_address).__name__,
            "server_port": server.server_port,
            "server_name": type(server.server_name).__name__,
            "server_address": list(server.server_address)[:2],
            "raw_requestline": this.raw_requestline.decode("latin-1"),
            "close_connection": bool(self.close_connection),
            "address_string": self.address_string(),
            "readable": self.rfile.readable(),
            "writable": self.wfile.writable(),
            "connection": hasattr(self.connection, "getsockname") and self.connection is self.request,
        }
        self.answer(json.dumps(shown).encode())

    do_HEAD = do_GET
    do_DELETE = do_GET
    do_PROPFIND = do_GET

    def do_POST(self) -> None:
        """The body, read in the way that `do` names."""
        length = int(self.headers.get("Content-Length", 0))
        do = self.query.get("do", "read")
        if do == "lines":
            read = b"|".join(self.rfile.readline() for _ in range(3))
        elif do == "nothing":
            read = b"unread"
        elif do == "readinto":
            buffer = bytearray(length)
            read = bytes(buffer[: self.rfile.readinto(buffer)])
        elif do == "half":
            read = self.rfile.read(length // 2)
        else:
            read = self.rfile.read(length)
        self.answer(read)

    do_PUT = do_POST


class Answers(Base):
    """Each path answers in another way."""

    def do_GET(self) -> None:
        """The method that the path names."""
        if not self.common():
            getattr(self, "get_" + self.name)()

    do_HEAD = do_GET

    def get_error(self) -> None:
        """send_error with all its arguments."""
        self.send_error(404, "No <such> thing", "It was here & went")

    def get_plain_error(self) -> None:
        """send_error with a status alone."""
        self.send_error(418)

    def get_no_content(self) -> None:
        """A status without a body."""
        self.send_response(204)
        self.end_headers()

    def get_not_modified(self) -> None:
        """304 with a validator."""
        self.send_response(304)
        self.send_header("ETag", '"x"')
        self.end_headers()

    def get_headers(self) -> None:
        """Duplicates, latin-1, a reason of its own."""
        self.send_response(299, "Own Reason")
        for name, value in (
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("X-Latin", "\xe4"),
            ("X-Empty", ""),
        ):
            self.send_header(name, value)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def get_until_close(self) -> None:
        """A body without a length: it ends with the connection."""
        self.send_response(200)
        self.end_headers()
        for piece in (b"one ", b"two ", b"three"):
            self.wfile.write(piece)
        self.close_connection = True

    def get_chunked(self) -> None:
        """Chunks that the handler frames itself."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in (b"one ", b"two ", b"three"):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def get_raw(self) -> None:
        """Bytes that no method helped with, in pieces that end anywhere."""
        raw = b"HTTP/1.1 202 Taken As Is\r\nX-Raw: yes\r\nContent-Length: 8\r\n\r\nraw body"
        step = int(self.query.get("step", "1"))
        for start in range(0, len(raw), step):
            self.wfile.write(raw[start : start + step])
            self.wfile.flush()

    def get_drip(self) -> None:
        """A piece, then wait, three times."""
        self.send_response(200)
        self.send_header("Content-Length", "24")
        self.end_headers()
        for number in range(3):
            self.wfile.write(b"piece %d\n" % number)
            self.wfile.flush()
            routes.wait(self.environ())

    def get_endless(self) -> None:
        """Until the client has left."""
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(bytes(65536))
        except OSError as error:
            self.note(f"OSError {isinstance(error, ConnectionError)}")
            self.close_connection = True

    def get_large(self) -> None:
        """8 MiB in one write."""
        self.send_response(200)
        self.send_header("Content-Length", str(8 << 20))
        self.end_headers()
        self.wfile.write(b"x" * (8 << 20))

    def get_too_much(self) -> None:
        """More than the length says."""
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"fourHTTP/1.1 200 OK\r\n\r\nsmuggled")

    def get_too_little(self) -> None:
        """Less than the length says."""
        self.send_response(200)
        self.send_header("Content-Length", "40")
        self.end_headers()
        self.wfile.write(b"four")

    def get_nothing(self) -> None:
        """No answer at all."""

    def get_garbage(self) -> None:
        """What is no HTTP."""
        self.wfile.write(b"this is no answer\r\n\r\n")

    def get_split(self) -> None:
        """A header that would be two."""
        self.send_response(200)
        self.send_header("X-Bad", "a\0b")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def get_raises(self) -> None:
        """Raises `what` before or behind the head."""
        if self.query.get("when") == "behind":
            self.send_response(200)
            self.send_header("Content-Length", "40")
            self.end_headers()
            self.wfile.write(b"half ")
            self.wfile.flush()
        if self.query["what"] == "exit":
            sys.exit("boom of the handler")
        raise (KeyboardInterrupt if self.query["what"] == "interrupt" else ValueError)("boom of the handler")

    def get_exhausts(self) -> None:
        """More than there is of `what`."""
        if self.query["what"] == "stack":
            failing.endless()
        self.answer(bytes(1 << 62))

    def get_dies(self) -> None:
        """The process ends."""
        failing.die(self.query["how"])

    def get_counter(self) -> None:
        """State that is kept on the server."""
        self.server.counter = getattr(self.server, "counter", 0) + 1  # type: ignore[attr-defined]
        self.answer(b"%d" % self.server.counter)  # type: ignore[attr-defined]

    def get_process(self) -> None:
        """Where it runs."""
        self.answer(json.dumps([os.getpid(), threading.current_thread().name]).encode())

    def get_waits(self) -> None:
        """Waits for the test."""
        self.note("in")
        routes.wait(self.environ())
        self.answer(b"awake")

    def get_own_log(self) -> None:
        """A message of its own in the log."""
        self.log_message("own message %s", "with an argument")
        self.answer(b"logged")


class OldProtocol(Base):
    """HTTP/1.0, as classes are that say nothing."""

    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        """No length."""
        if not self.common():
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write(b"old ")
            self.wfile.write(b"protocol")


class Overrides(Base):
    """Overrides what surrounds a request."""

    def setup(self) -> None:
        """Noted under the class's own token."""
        routes.note({"QUERY_STRING": "t=overrides"}, "setup")
        super().setup()

    def handle(self) -> None:
        """As the documentation of socketserver has it."""
        routes.note({"QUERY_STRING": "t=overrides"}, "handle")
        super().handle()

    def finish(self) -> None:
        """The last."""
        super().finish()
        routes.note({"QUERY_STRING": "t=overrides"}, "finish")

    def do_GET(self) -> None:
        """What came before."""
        if not self.common():
            self.answer(b"overridden")

    def do_POST(self) -> None:
        """Echo."""
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))


class ByHand(BaseHTTPRequestHandler):
    """handle() alone, with the socket in its hands."""

    def handle(self) -> None:
        """Reads a head and answers, with recv and sendall."""
        received = b""
        while b"\r\n\r\n" not in received:
            piece = self.request.recv(100)
            if not piece:
                return
            received += piece
        line = received.split(b"\r\n")[0]
        body = b"by hand: " + line
        self.request.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        self.request.sendall(body)


class Quiet(Base):
    """Logs nothing, as many do."""

    def do_GET(self) -> None:
        """Hello."""
        if not self.common():
            self.answer(b"quiet")

    def log_message(self, format: str, *args: object) -> None:
        """Only noted."""
        routes.note({"QUERY_STRING": "t=quiet"}, format % args)


class Folder(SimpleHTTPRequestHandler):
    """Files of the folder that `FOLDER` names, with a header more."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, directory=os.environ["FOLDER"], **keywords)

    def end_headers(self) -> None:
        """What people subclass it for."""
        self.send_header("X-Folder", "yes")
        super().end_headers()


class NotHttp(socketserver.StreamRequestHandler):
    """No handler of HTTP."""
