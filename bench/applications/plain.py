"""The applications of the rows about Python: `plain:hello` and so on, WSGI but for the handler class."""

from __future__ import annotations

import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

BODY = b"Hello, world!"
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", "13")]


def hello(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The least that an application can do."""
    start_response("200 OK", HEADERS)
    return [BODY]


def echo(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The body that was sent."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def sleeping(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """What a query to a database takes."""
    time.sleep(0.010)
    start_response("200 OK", HEADERS)
    return [BODY]


class Handler(BaseHTTPRequestHandler):
    """The least that a handler class can do, on kept connections."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Hello."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", "13")
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing, as with the other servers."""
