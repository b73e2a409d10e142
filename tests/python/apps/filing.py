# ruff: noqa: SIM115  # whoever is handed a file has to close it: that is what is tested

"""Applications that hand over files by wsgi.file_wrapper."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any

from routes import PLAIN, note, parameter, route

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

CONTENT = b"".join(b"line %06d\n" % number for number in range(20_000))


class Noting:
    """A file of which the descriptor is seen, and whose close() is noted."""

    def __init__(self, environ: WSGIEnvironment, file: Any) -> None:
        self.environ = environ
        self.file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def close(self) -> None:
        """As the server has to."""
        note(self.environ, "close")
        self.file.close()


class Upper(io.FileIO):
    """A file whose read() is not what its descriptor has."""

    def read(self, size: int | None = -1, /) -> bytes:
        return (super().read(-1 if size is None else size) or b"").upper()


class Only:
    """Something with a read() and nothing else."""

    def __init__(self, content: bytes) -> None:
        self.stream = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        """The only method that PEP 3333 asks for."""
        return self.stream.read(size)


def make(kind: str, content: bytes) -> Any:
    """A file-like object of `kind` with `content`; files are gone from their folder."""
    if kind == "BytesIO":
        return io.BytesIO(content)
    if kind == "only read":
        return Only(content)
    if kind == "pipe":
        reading, writing = os.pipe()
        os.write(writing, content[:4000])
        os.close(writing)
        return os.fdopen(reading, "rb")
    if kind == "spooled":
        spooled: Any = tempfile.SpooledTemporaryFile()
        spooled.write(content)
        spooled.seek(0)
        return spooled
    file, path = tempfile.mkstemp(prefix="salver-test-")
    os.write(file, gzip.compress(content) if kind == "gzip" else content)
    os.close(file)
    opened: Any
    if kind == "gzip":
        opened = gzip.open(path, "rb")
    elif kind == "raw":
        opened = open(path, "rb", buffering=0)
    elif kind == "upper":
        opened = Upper(path)
    elif kind == "text":
        opened = open(path, encoding="latin-1")
    elif kind == "update":
        opened = open(path, "r+b")
    else:
        opened = open(path, "rb")
    os.unlink(path)
    return opened


@route
def files(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """A file of `kind`, read up to `read`, moved to `seek`, with a Content-Length of `length`, in blocks of `block`."""
    file = make(parameter(environ, "kind", "file"), CONTENT)
    if skip := int(parameter(environ, "read", "0")):
        file.read(skip)
    if seek := int(parameter(environ, "seek", "0")):
        file.seek(seek)
    length = parameter(environ, "length")
    start_response("200 OK", [*PLAIN, *([("Content-Length", length)] if length else [])])
    block = int(parameter(environ, "block", "0"))
    noting: Any = file if parameter(environ, "bare") else Noting(environ, file)
    wrapper: Any = environ["wsgi.file_wrapper"]
    if parameter(environ, "kind") == "subclass":
        return Wrapper(environ, wrapper, noting)
    wrapped: Iterable[bytes] = wrapper(noting, block) if block else wrapper(noting)
    if parameter(environ, "iterated"):
        return iterate(wrapped)
    if parameter(environ, "unused"):
        close: Any = wrapped
        close.close()
        return [b"unused"]
    return wrapped


def iterate(wrapped: Any) -> Iterator[bytes]:
    """What a middleware does that looks at every block."""
    try:
        yield from wrapped
    finally:
        wrapped.close()


class Wrapper:
    """A middleware's own iterable around a wrapper."""

    def __init__(self, environ: WSGIEnvironment, wrapper: Any, file: IO[bytes]) -> None:
        self.wrapped = wrapper(file)

    def __iter__(self) -> Iterator[bytes]:
        return (block.upper() for block in self.wrapped)

    def close(self) -> None:
        """Passed on."""
        self.wrapped.close()


@route
def large_file(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """A sparse file of `size` bytes."""
    file = tempfile.TemporaryFile()
    file.truncate(int(parameter(environ, "size")))
    start_response("200 OK", [*PLAIN, ("Content-Length", parameter(environ, "size"))])
    wrapper: Any = environ["wsgi.file_wrapper"]
    wrapped: Iterable[bytes] = wrapper(file)
    return wrapped
