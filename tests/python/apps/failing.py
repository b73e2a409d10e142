"""Applications that break the rules: bad heads, wrong types, exits."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from routes import PLAIN, Closing, answer, answer_json, note, parameter, route, wait

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

# Heads that must never be sent: the status, the headers.
OK = "200 OK"
BAD_HEADS: dict[str, tuple[Any, Any]] = {
    "too many": ("200 OK", [(f"X-Bad-{number}", "") for number in range(30_000)]),
    "value with CRLF": (OK, [("X-Bad", "a\r\nX-Split: yes")]),
    "value with LF": (OK, [("X-Bad", "a\nX-Split: yes")]),
    "value with CR": (OK, [("X-Bad", "a\rX-Split: yes")]),
    "value with NUL": (OK, [("X-Bad", "a\0b")]),
    "value beyond latin-1": (OK, [("X-Bad", "\u20ac")]),
    "value that is bytes": (OK, [("X-Bad", b"bytes")]),
    "value that is an int": (OK, [("X-Bad", 3)]),
    "value that is None": (OK, [("X-Bad", None)]),
    "name with a space": (OK, [("X Bad", "x")]),
    "name with a colon": (OK, [("X-Bad:", "x")]),
    "name with CRLF": (OK, [("X-Bad\r\nX-Split", "yes")]),
    "name with NUL": (OK, [("X-Bad\0", "x")]),
    "empty name": (OK, [("", "x")]),
    "name beyond ASCII": (OK, [("X-B\xe4d", "x")]),
    "name that is bytes": (OK, [(b"X-Bad", "x")]),
    "header that is no pair": (OK, [("X-Bad",)]),
    "headers that are None": (OK, None),
    "status with CRLF": ("200 OK\r\nX-Split: yes", []),
    "status with LF": ("200 OK\nX-Split: yes", []),
    "status with NUL": ("200 O\0K", []),
    "status without text": ("200", []),
    "status without number": ("OK", []),
    "status with two digits": ("20 OK", []),
    "status with four digits": ("2000 OK", []),
    "status without space": ("200OK", []),
    "status that is bytes": (b"200 OK", []),
    "status that is an int": (200, []),
    "status that is None": (None, []),
    "status that is empty": ("", []),
    "status beyond latin-1": ("200 \u20ac", []),
    "status of a hint": ("103 Early Hints", []),
    "status of a switch": ("101 Switching Protocols", []),
}


@route
def bad_head(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The head that `case` names."""
    status, headers = BAD_HEADS[parameter(environ, "case")]
    head: Any = None if headers is None else [*PLAIN, *headers]
    start_response(status, head)
    return Closing(environ, [b"body of a bad head"])


@route
def hop_by_hop(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """A header that belongs to the connection, beside one that does not."""
    name, value = parameter(environ, "name"), parameter(environ, "value")
    start_response("200 OK", [*PLAIN, (name, value), ("X-Kept", "yes")])
    return [b"hop"]


@route
def own_headers(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Headers whose order and number matter, and a Date and Server of its own."""
    headers = [
        ("X-First", "1"),
        ("Set-Cookie", "a=1"),
        ("X-Second", "2"),
        ("Set-Cookie", "b=2; Path=/"),
        ("Set-Cookie", "a=1"),
        ("Date", "Tue, 14 Nov 2023 22:13:20 GMT"),
        ("Server", "own/1.0"),
        ("X-Latin", "\xe4\xff"),
        ("X-Empty", ""),
    ]
    start_response("299 Any Text", [*PLAIN, *headers])
    return [b"own"]


@route
def bad_length(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Content-Length fields as `values` (split at |) has them, and five bytes."""
    values = parameter(environ, "values").split("|")
    start_response("200 OK", [*PLAIN, *(("Content-Length", value) for value in values)])
    return [b"12345"]


class Unprintable(BaseException):
    """Not an Exception, and without a text."""

    def __str__(self) -> str:
        raise ValueError("no text")


# Made anew each time: an exception that is raised again keeps the traceback of every time before.
EXCEPTIONS: dict[str, Callable[[], BaseException]] = {
    "ValueError": lambda: ValueError("boom of the application"),
    "SystemExit": lambda: SystemExit(3),
    "SystemExit with text": lambda: SystemExit("boom of the application"),
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "StopIteration": lambda: StopIteration("boom of the application"),
    "RecursionError": lambda: RecursionError("boom of the application"),
    "MemoryError": MemoryError,
    "BaseException": lambda: BaseException("boom of the application"),
    "Unprintable": Unprintable,
    "surrogate": lambda: ValueError("boom of the application \udcff\0\x1b[31m"),
}


def endless(depth: int = 0) -> int:
    """Calls itself."""
    return endless(depth + 1) + 1


@route
def exhausts(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """More than there is of `what`."""
    if parameter(environ, "what") == "stack":
        endless()
    return answer(start_response, bytes(1 << 62))


def deep(depth: int) -> int:
    """Calls itself so many times."""
    return deep(depth - 1) + 1 if depth else 0


def deep_in_c(depth: int) -> int:
    """The same with functions of C between."""
    return sum(map(deep_in_c, [depth - 1])) + 1 if depth else 0


@route
def recurses(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """How a deep recursion ends, in a thread of Python's own and here."""
    ends: list[str] = []

    def descend() -> None:
        function = deep_in_c if parameter(environ, "in") == "c" else deep
        try:
            ends.append(str(function(int(parameter(environ, "depth")))))
        except RecursionError as error:
            ends.append(type(error).__name__)

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        thread = threading.Thread(target=descend)
        thread.start()
        thread.join()
        descend()
    finally:
        sys.setrecursionlimit(limit)
    return answer_json(start_response, ends)


@route
def dies(environ: WSGIEnvironment, _: StartResponse) -> Iterable[bytes]:
    """The process ends."""
    die(parameter(environ, "how"))
    return []


def die(how: str) -> None:
    """Ends the process, as no exception does."""
    if how == "abort":
        os.abort()
    if how == "fault":
        ctypes.string_at(0)
    os._exit(int(how))


@route
def raises(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """`what` is raised, `when` called, started, iterated, or midway."""
    error, when = EXCEPTIONS[parameter(environ, "what")](), parameter(environ, "when")
    if when == "called":
        raise error
    start_response("200 OK", [*PLAIN])
    if when == "started":
        raise error

    class Body(Closing):
        def __next__(self) -> bytes:
            if when == "iterated":
                raise error
            chunk = next(self.chunks, None)
            if chunk is None:
                raise error
            return chunk

    return Body(environ, [b"one", b"two"])


@route
def exits(_: WSGIEnvironment, __: StartResponse) -> Iterable[bytes]:
    """sys.exit as people call it."""
    sys.exit("boom of the application")


@route
def returns(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    """Something that is no iterable of bytes."""
    start_response("200 OK", [*PLAIN])
    values: dict[str, Any] = {
        "None": None,
        "int": 3,
        "str": "text",
        "list of str": ["text"],
        "list of None": [None],
        "list of int": [3],
        "list of bytearray": [bytearray(b"text")],
        "object": object(),
        "list that grows": Grows(),
    }
    return values[parameter(environ, "what")]


class Grows(list[bytes]):
    """A list that says it has one element and yields three."""

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"one", b"two", b"three"])


@route
def waits_then_raises(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """Raises between two chunks, once the test says so."""
    start_response("200 OK", [*PLAIN, ("Content-Length", "10")])
    yield b"half "
    wait(environ)
    note(environ, "raising")
    raise ValueError("boom of the application")
