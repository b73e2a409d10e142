"""What came back for a request, and where two answers differ."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import unquote

from tests.differential.cases import Case
from tests.support import PATIENCE, Server

BLOCKED = 1.0  # seconds after which http.server on a FIFO counts as blocked for ever


@dataclass
class Outcome:
    """An answer, or what came in its place: status 0 with a `reason`."""

    status: int
    reason: str
    version: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def framed(self) -> bool:
        """Whether exactly the announced number of bytes came."""
        return self.headers.get("content-length") in (None, str(len(self.body)))


@dataclass(frozen=True)
class Difference:
    """One field that differs; None where one side has none."""

    field: str
    python: str | None
    salver: str | None

    def __str__(self) -> str:
        return f"{self.field}: {self.python!r} became {self.salver!r}"


def exchange(server: Server, case: Case) -> Outcome:
    """Send the request on a connection of its own and read to the end."""
    patience = BLOCKED if b"fifo" in case.target else PATIENCE
    with socket.create_connection((server.host, server.port), patience) as connection:
        data = b""
        try:
            connection.sendall(case.wire())
            while piece := connection.recv(1 << 16):
                data += piece
        except socket.timeout:
            return Outcome(0, "blocked")
        except (ConnectionResetError, BrokenPipeError):
            pass
    return parse(data)


def parse(data: bytes) -> Outcome:
    """Bytes to an outcome."""
    if not data:
        return Outcome(0, "dropped")
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    match = re.fullmatch(r"(HTTP/\d\.\d) (\d{3}) (.*)", first)
    if match is None:
        return Outcome(0, "no head", body=data)
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        key = name.lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = unchunked(body)
    return Outcome(int(match[2]), match[3], match[1], headers, body)


def unchunked(data: bytes) -> bytes:
    """The content of a chunked body; `ValueError` where the framing is wrong or cut."""
    body, size = b"", -1
    while size != 0:
        line, _, data = data.partition(b"\r\n")
        size = int(line, 16)
        body += data[:size]
        if data[size : size + 2] != b"\r\n":
            raise ValueError(f"chunk of {size} bytes is not closed")
        data = data[size + 2 :]
    return body


def differences(python: Outcome, salver: Outcome) -> Iterator[Difference]:
    """All fields that differ. Of Date, only whether it is there."""
    if python.status != salver.status:
        yield Difference("status", str(python.status), str(salver.status))
    if python.reason != salver.reason:
        yield Difference("reason", python.reason, salver.reason)
    if python.version != salver.version:
        yield Difference("version", python.version, salver.version)
    for name in sorted({*python.headers, *salver.headers}):
        mine, theirs = python.headers.get(name), salver.headers.get(name)
        if mine != theirs and not (name == "date" and mine and theirs):
            yield Difference(name, mine, theirs)
    if python.body != salver.body:
        yield Difference("body", repr(python.body[:60]), repr(salver.body[:60]))


class Listing(HTMLParser):
    """A listing's title, heading and entries: (href, text) of each link that names something in the folder."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.entries: list[tuple[str, str]] = []
        self.title = ""
        self.heading = ""
        self._inside: list[str] = []
        self._href: str | None = None
        self._text = ""
        self.feed(page.decode("utf-8", "surrogateescape"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember where the text belongs."""
        self._inside.append(tag)
        if tag == "a":
            href = dict(attrs).get("href") or ""
            self._href = None if href.startswith(("/", "?", "#", "../")) or href == ".." else href
            self._text = ""

    def handle_endtag(self, tag: str) -> None:
        """An entry is complete."""
        if tag in self._inside:
            while self._inside.pop() != tag:
                pass
        if tag == "a" and self._href is not None:
            self.entries.append((self._href, self._text))
            self._href = None

    def handle_data(self, data: str) -> None:
        """Text of a link, the title or the heading."""
        if "title" in self._inside:
            self.title += data
        if "h1" in self._inside:
            self.heading += data
        if self._href is not None:
            self._text += data

    def names(self) -> list[bytes]:
        """The entries' names as bytes, as the links spell them."""
        return [name_of(href) for href, _ in self.entries]


def name_of(href: str) -> bytes:
    """The name a link leads to, its bytes as the file system has them, without the final slash."""
    text = unquote(href.rstrip("/"), errors="surrogatepass" if "%ED%B" in href.upper() else "surrogateescape")
    return text.encode("utf-8", "surrogateescape")
