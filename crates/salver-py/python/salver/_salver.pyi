"""The extension: the whole command, and what applications meet of it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Optional, Protocol

__version__: str

class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...

class FileWrapper:
    """`wsgi.file_wrapper` (PEP 3333): a file as the body of a response, sent by the server if it can be."""

    filelike: _Readable
    blksize: int

    def __init__(self, filelike: _Readable, blksize: int = 8192) -> None: ...
    def __iter__(self) -> Iterator[bytes]: ...
    def __next__(self) -> bytes: ...
    def close(self) -> None: ...

class Engine:
    """A server for a listening socket, on threads of its own until `stop`."""

    def __init__(
        self,
        descriptor: int,
        kind: str,
        application: Callable[..., Any],
        server: Any,
        threads: Optional[int] = None,
    ) -> None: ...
    def stop(self, now: bool) -> None:
        """Stop: running requests end if they are quick, or at once; returns when nobody listens."""

def serve(table: str, hears_signals: bool) -> int:
    """Serve in this process what a TOML table of options says; its exit code."""

def main(args: Sequence[str]) -> int:
    """Run the command with `args` (the program's name first); its exit code."""
