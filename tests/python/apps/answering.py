"""Applications that start, stream and end their answers in every way that PEP 3333 allows, and some that it does not."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from wsgiref.validate import validator

from routes import PLAIN, ROUTES, Closing, answer, note, parameter, route, wait

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


@route
def late_start(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """The answer begins with the first `next()`."""
    start_response("201 Created", [*PLAIN, ("X-Late", "yes")])
    yield b"late"


@route
def never_starts(environ: WSGIEnvironment, _: StartResponse) -> Iterable[bytes]:
    """A body without a head."""
    return Closing(environ, [b"body"])


@route
def nothing_at_all(environ: WSGIEnvironment, _: StartResponse) -> Iterable[bytes]:
    """Neither head nor body."""
    return Closing(environ, [])


@route
def empty(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """A head and no body, in the way that `how` names."""
    start_response("200 OK", [*PLAIN])
    bodies: dict[str, Iterable[bytes]] = {"list": [], "blank": [b""], "blanks": [b"", b"", b""]}
    return bodies.get(parameter(environ, "how"), iter(()))


@route
def mind_changed(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """Empty chunks send no head, so it can be replaced."""
    start_response("200 OK", [*PLAIN, ("X-First", "yes")])
    yield b""
    yield b""
    try:
        raise ValueError("on second thoughts")
    except ValueError:
        start_response("503 Service Unavailable", [*PLAIN, ("X-Second", "yes")], sys.exc_info())
    yield b"replaced"


@route
def head_with_first_chunk(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """Waits behind its first chunk."""
    start_response("200 OK", [*PLAIN])
    yield b"first"
    wait(environ)
    yield b"second"


@route
def writes(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The old way: write()."""
    write = start_response("200 OK", [*PLAIN])
    write(b"one ")
    write(b"")
    note(environ, "written")
    if parameter(environ, "wait"):
        wait(environ)
    write(b"two ")
    return [b"three"]


@route
def writes_only(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """write() and an empty iterable, with a length."""
    write = start_response("200 OK", [*PLAIN, ("Content-Length", "8")])
    write(b"all of i")
    return []


@route
def writes_text(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """write() of a str is refused where it is called."""
    write = start_response("200 OK", [*PLAIN])
    try:
        write("text")  # type: ignore[arg-type]
    except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
        note(environ, type(error).__name__)
    return [b"done"]


@route
def error_before_head(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """exc_info before the head left: the head is replaced."""
    start_response("200 OK", [*PLAIN, ("X-First", "yes"), ("Content-Length", "99")])
    try:
        raise ValueError("boom")
    except ValueError:
        start_response("500 Oops", [*PLAIN, ("X-Second", "yes")], sys.exc_info())
    return [b"oops"]


@route
def error_after_head(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """exc_info after the head left: it is raised again, and the answer is cut."""
    start_response("200 OK", [*PLAIN])
    yield b"sent"
    try:
        raise ValueError("boom behind the head")
    except ValueError as error:
        try:
            start_response("500 Oops", [*PLAIN], sys.exc_info())
        except ValueError as again:
            note(environ, "the same" if again is error else "another")
            raise
    yield b"never"


@route
def starts_twice(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """A second call without exc_info is an error."""
    start_response("200 OK", [*PLAIN])
    try:
        start_response("200 OK", [*PLAIN])
    except Exception as error:
        note(environ, type(error).__name__)
        raise
    return [b"twice"]


@route
def closing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Three chunks from an iterator, with `status`, `length` and what `fails`."""

    def chunks() -> Iterator[Any]:
        for number in range(3):
            yield b"%d" % number
            note(environ, f"chunk {number}")
            if parameter(environ, "fails") == "midway":
                raise ValueError("midway")
            if parameter(environ, "fails") == "type":
                yield "text"
        if parameter(environ, "fails") == "type":
            yield "text"

    length = parameter(environ, "length")
    headers = [*PLAIN, *([("Content-Length", length)] if length else [])]
    if parameter(environ, "fails") == "head":
        headers.append(("Bad Name", "x"))
    start_response(parameter(environ, "status", "200 OK"), headers)
    return Closing(environ, chunks())


@route
def closing_list(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """A list with a close()."""

    class Body(list[bytes]):
        def close(self) -> None:
            note(environ, "close")

    start_response("200 OK", [*PLAIN])
    return Body(parameter(environ, "chunks", "list").encode().split(b","))


@route
def closing_generator(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """A generator: its `finally` runs when it is closed."""
    start_response("200 OK", [*PLAIN])
    try:
        for _ in range(3):
            yield b"x" * 10
    finally:
        note(environ, "close")


@route
def close_fails(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """close() raises, after everything was said."""

    class Body(Closing):
        def close(self) -> None:
            super().close()
            raise KeyError("in close") if parameter(environ, "with") != "exit" else SystemExit(7)

    start_response("200 OK", [*PLAIN, ("Content-Length", "4")])
    return Body(environ, [b"full"])


@route
def lengths(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The chunks of `chunks` (split at commas) under a Content-Length of `length`; `as` list, iterator or write."""
    length = parameter(environ, "length")
    chunks = [chunk.encode() for chunk in parameter(environ, "chunks").split(",")]
    write = start_response("200 OK", [*PLAIN, *([("Content-Length", length)] if length else [])])
    kind = parameter(environ, "as", "list")
    if kind == "write":
        for chunk in chunks:
            write(chunk)
        return []
    if kind == "tuple":
        return tuple(chunks)
    return chunks if kind == "list" else Closing(environ, chunks)


@route
def bodiless(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """`status` with a body that must not be sent, with a length or without."""
    headers = [("Content-Length", "4"), *PLAIN] if parameter(environ, "length") else [("X-Kept", "yes")]
    start_response(parameter(environ, "status", "204 No Content"), headers)
    return [b"body"] if parameter(environ, "as") != "iterator" else Closing(environ, [b"bo", b"dy"])


@route
def drip(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """A chunk, then wait, `count` times."""
    start_response("200 OK", [*PLAIN])
    for number in range(int(parameter(environ, "count", "3"))):
        yield b"chunk %d\n" % number
        wait(environ)


@route
def endless(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """64 KiB pieces for ever; the number of those taken is noted, and the end."""
    start_response("200 OK", [*PLAIN])
    piece = bytes(65536)
    try:
        for number in range(1 << 30):
            if number & (number - 1) == 0:
                note(environ, f"taken {number}")
            yield piece
    finally:
        note(environ, "close")


@route
def big(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """`size` bytes as `as` says: one chunk, an iterator, or write()."""
    size, kind = int(parameter(environ, "size")), parameter(environ, "as", "iterator")
    write = start_response("200 OK", [*PLAIN, ("Content-Length", str(size))])
    if kind == "chunk":
        return [b"x" * size]
    if kind == "write":
        for _ in range(size // 65536):
            write(b"x" * 65536)
        return []
    return Closing(environ, (b"x" * 65536 for _ in range(size // 65536)))


@route
def hints(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Two early hints, then wait, then the answer."""
    early = environ["wsgi.early_hints"]
    early([("Link", "</style.css>; rel=preload; as=style")])
    early([("Link", "</a.js>; rel=preload"), ("Link", "</b.js>; rel=preload")])
    note(environ, "hinted")
    if parameter(environ, "wait"):
        wait(environ)
    return answer(start_response, b"after the hints")


@route
def bad_hints(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """A hint that would split the answer."""
    try:
        environ["wsgi.early_hints"]([("Link", "</x>\r\nX-Split: yes")])
    except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
        note(environ, type(error).__name__)
    return answer(start_response, b"unsplit")


@route
def late_hints(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """A hint behind the head: nothing of it may be sent."""
    start_response("200 OK", [*PLAIN])
    yield b"one "
    try:
        environ["wsgi.early_hints"]([("Link", "</late.css>; rel=preload")])
    except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
        note(environ, type(error).__name__)
    yield b"two"


def validated(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """What conforms, under the eyes of wsgiref.validate: reads all and answers."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.errors"].write("validated\n")
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Method", environ["REQUEST_METHOD"])])
    return [b"read %d bytes" % len(body)]


def validated_stream(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The same with an iterator, lines and a file wrapper's kind of reads."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Closing(environ, list(environ["wsgi.input"]))


ROUTES["validated"] = validator(validated)
ROUTES["validated_stream"] = validator(validated_stream)
