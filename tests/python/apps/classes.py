"""Handler classes that ask for something of their own: `classes:Chunked` and so on."""

from __future__ import annotations

import functools
import io
import json
import os
from http.client import HTTPMessage
from http.server import SimpleHTTPRequestHandler
from typing import Any, cast

from handlers import Base


class Chunked(Base):
    """Takes uploads of unknown length apart by itself, as handlers do that know of them."""

    def do_POST(self) -> None:
        """The chunks, joined by bars."""
        assert self.headers["Transfer-Encoding"] == "chunked"
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            assert self.rfile.readline() == b"\r\n"
        assert self.rfile.readline() == b"\r\n"
        assert self.rfile.read() == b""
        self.answer(b"|".join(chunks))

    do_GET = Base.common


class Strict(Base):
    """Decides who may send a body (`handle_expect_100`), and has a class of its own for headers."""

    class MessageClass(HTTPMessage):
        """Known by its name."""

    def handle_expect_100(self) -> bool:
        """Nobody may."""
        self.send_error(417)
        return False

    def do_POST(self) -> None:
        """What was read."""
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def do_GET(self) -> None:
        """The class of the headers, and whether an e-mail's methods work."""
        if not self.common():
            message = self.headers
            known = message.get_param("charset"), message.get_content_charset(), "x-nothing" in message
            self.answer(json.dumps([type(message).__name__, known, str(message)]).encode())


class Wrapped(Base):
    """Wraps its files in others, as libraries do."""

    def do_GET(self) -> None:
        """The body as text."""
        if not self.common():
            self.do_POST()

    def do_POST(self) -> None:
        """Text in, text out."""
        text = io.TextIOWrapper(cast(Any, self.rfile), encoding="utf-8", newline="\n").read()
        self.send_response(200)
        self.end_headers()
        with io.TextIOWrapper(cast(Any, self.wfile), encoding="utf-8", write_through=True) as out:
            out.write(text.upper())


class Waiting(Base):
    """Sends its head, and its content only when it is let go on."""

    def do_GET(self) -> None:
        """As a stream of events begins."""
        if self.common():
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        import routes

        routes.wait(self.environ())
        self.wfile.write(b"data: 1\n\n")


class Raising(Base):
    """Raises in its constructor, and in `finish`."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        if self.name == "behind":
            raise ValueError("boom of the constructor")

    def finish(self) -> None:
        """Behind the answer."""
        super().finish()
        if self.name == "finish":
            raise ValueError("boom of finish")

    def do_GET(self) -> None:
        """An answer that is whole."""
        if not self.common():
            self.answer(b"whole")


folder = functools.partial(SimpleHTTPRequestHandler, directory=os.environ.get("FOLDER", "/"))
