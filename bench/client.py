"""The small client: checks an answer before it is measured, warms a server up, and holds idle connections.

`exchange` knows answers with a Content-Length (or none, as 304); `fetch` knows all that http.client knows.
"""

from __future__ import annotations

import errno
import http.client
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

HOST = "127.0.0.1"
TIMEOUT = 10.0


class Failed(Exception):
    """A measurement that cannot be had: one line, for the report."""


@dataclass(frozen=True)
class Answer:
    """A response: field names in lower case."""

    status: int
    fields: Mapping[str, str]
    body: bytes


def fetch(port: int, path: str, fields: Mapping[str, str], body: bytes = b"", secure: bool = False) -> Answer:
    """One GET on a connection of its own, or a POST of `body`."""
    connection = (
        http.client.HTTPSConnection(HOST, port, timeout=TIMEOUT, context=_anybody())
        if secure
        else http.client.HTTPConnection(HOST, port, timeout=TIMEOUT)
    )
    try:
        connection.request("POST" if body else "GET", path, body or None, headers=dict(fields))
        response = connection.getresponse()
        return Answer(
            response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        )
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"{path} got no answer: {error!r}") from error
    finally:
        connection.close()


def _anybody() -> ssl.SSLContext:
    """A client that trusts whoever answers: the certificate is of our own making."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def request_bytes(port: int, path: str, fields: Mapping[str, str]) -> bytes:
    """A GET as the load generators send it."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {HOST}:{port}",
        *(f"{name}: {value}" for name, value in fields.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def exchange(connection: socket.socket, request: bytes) -> bytes:
    """Sends a request and reads one whole answer, head and body, as it came."""
    connection.sendall(request)
    received = b""
    while b"\r\n\r\n" not in received:
        received += _receive(connection)
    end = received.index(b"\r\n\r\n") + 4
    length = re.search(rb"\r\ncontent-length:\s*(\d+)", received[:end], re.IGNORECASE)
    end += int(length.group(1)) if length and not re.match(rb"HTTP/1\.\d 304", received) else 0
    while len(received) < end:
        received += _receive(connection)
    return received


def warm(
    port: int, path: str, fields: Mapping[str, str], seconds: float, body: bytes = b"", secure: bool = False
) -> None:
    """Asks for the same thing over and over, so that caches are filled and lazy work is done."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        fetch(port, path, fields, body, secure)


@contextmanager
def held(port: int, path: str, count: int) -> Iterator[None]:
    """Holds `count` connections that each had one answer and now idle; closes them at the end."""
    with ExitStack() as connections:
        request = request_bytes(port, path, {})
        for number in range(1, count + 1):
            try:
                connection = connections.enter_context(
                    socket.create_connection((HOST, port), timeout=TIMEOUT)
                )
                exchange(connection, request)
            except OSError as error:
                mend = "; raise the limit with `ulimit -n`" if error.errno == errno.EMFILE else ""
                raise Failed(f"connection {number} of {count} failed: {error}{mend}") from error
        yield


def _receive(connection: socket.socket) -> bytes:
    """What is there, at least a byte."""
    piece = connection.recv(65536)
    if not piece:
        raise Failed("the server closed a connection that was to be kept")
    return piece
