"""The extension: the whole command, and what applications meet of it."""

from collections.abc import Iterator, Sequence
from typing import Protocol

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

def main(args: Sequence[str]) -> int:
    """Run the command with `args` (the program's name first); its exit code."""
