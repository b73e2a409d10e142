"""Applications that look at the request: environ, and wsgi.input read in every way."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from routes import PLAIN, Closing, answer, answer_json, note, parameter, route, wait

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


@route
def environ(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """All of environ: strings as they are, the rest by the name of its type."""
    plain = (str, int, bool, tuple)
    shown = {
        key: value if type(value) in plain else f"<{type(value).__name__}>" for key, value in environ.items()
    }
    types = {
        "": type(environ).__name__,
        "keys": sorted({type(key).__name__ for key in environ}),
        "strings": sorted(
            {type(value).__name__ for key, value in environ.items() if not key.startswith("wsgi.")}
        ),
    }
    environ["HTTP_LEFT_BEHIND"] = "by the request before"
    environ["wsgi.left_behind"] = "by the request before"
    return answer_json(start_response, {"environ": shown, "types": types})


@route
def process(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Where the application runs."""
    return answer_json(
        start_response,
        {
            "pid": os.getpid(),
            "parent": os.getppid(),
            "thread": threading.current_thread().name,
            "threads": threading.active_count(),
            "cwd": os.getcwd(),
            "path": sys.path,
            "argv": sys.argv,
            "environment": dict(os.environ),
            "version": list(sys.version_info[:2]),
        },
    )


def operate(source: Any, operation: str) -> Any:
    """One operation such as `read(3)`, `readlines()`, `next`, `list`: its result with latin-1 text for bytes."""
    name, _, argument = operation.rstrip(")").partition("(")
    if name == "list":
        return [line.decode("latin-1") for line in source]
    if name == "next":
        return next(source, b"(end)").decode("latin-1")
    arguments = [None if argument == "None" else int(argument)] if argument else []
    result = getattr(source, name)(*arguments)
    if isinstance(result, list):
        return [line.decode("latin-1") for line in result]
    return result.decode("latin-1")


@route
def operations(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The operations of `do` (split at |), one after the other, on wsgi.input."""
    source = environ["wsgi.input"]
    return answer_json(
        start_response, [operate(source, operation) for operation in parameter(environ, "do").split("|")]
    )


@route
def reads_some(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Notes the first five bytes before the rest need have come."""
    note(environ, environ["wsgi.input"].read(5).decode("latin-1"))
    return answer(start_response, environ["wsgi.input"].read())


@route
def reads_nothing(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The body stays where it is."""
    return answer(start_response, b"unread")


@route
def reads_late(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """The head leaves before the first read."""
    start_response("200 OK", [*PLAIN])
    yield b"head "
    yield environ["wsgi.input"].read()


@route
def reads_all(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Notes how reading ended: with how many bytes, or by which exception."""
    count = 0
    note(environ, "called")
    try:
        while piece := environ["wsgi.input"].read(65536):
            count += len(piece)
    except OSError:
        note(environ, f"OSError after {count}")
        raise
    except BaseException as error:
        note(environ, f"{type(error).__name__} after {count}")
        raise
    note(environ, f"all {count}")
    return answer(start_response, b"%d" % count)


@route
def echo(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The body, piece by piece as it comes."""
    length = environ.get("CONTENT_LENGTH")
    headers = [("Content-Type", environ.get("CONTENT_TYPE") or "application/octet-stream")]
    start_response("200 OK", [*headers, *([("Content-Length", length)] if length else [])])
    return Closing(environ, iter(lambda: environ["wsgi.input"].read(65536), b""))


@route
def counts(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The length of the body and a checksum, read in pieces of `by`."""
    size, total, by = 0, 0, int(parameter(environ, "by", "65536"))
    while piece := environ["wsgi.input"].read(by):
        size, total = size + len(piece), (total + sum(piece[:: max(1, by // 64)])) % 65521
    return answer_json(start_response, size)


@route
def interleaves(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """A line in, a line out."""
    start_response("200 OK", [*PLAIN])
    for line in environ["wsgi.input"]:
        yield b"> " + line


@route
def complains(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """wsgi.errors in every way."""
    errors = environ["wsgi.errors"]
    token = parameter(environ, "t")
    errors.write(f"{token} written\n")
    errors.writelines([f"{token} line one\n", f"{token} line two\n"])
    print(token, "printed", "é\u20ac\udcff", file=errors)
    errors.flush()
    return answer(start_response, b"complained")


@route
def sleeps(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Waits for the test, and says how many were at once in here."""
    note(environ, "in")
    wait(environ)
    note(environ, "out")
    return answer(start_response, b"awake")
