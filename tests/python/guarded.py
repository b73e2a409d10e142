"""A TLS socket that one thread may read while another writes: unguarded, OpenSSL loses bytes of both."""

from __future__ import annotations

import select
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar, final

T = TypeVar("T")


@final
class Guarded(ssl.SSLSocket):
    """Only ever one thread is in OpenSSL; who has to wait for the network waits outside."""

    _guard: threading.Lock
    _patience: float | None = None

    @classmethod
    def of(cls, wrapped: ssl.SSLSocket) -> Guarded:
        """A socket of this class, whose handshake is over."""
        assert isinstance(wrapped, cls)
        wrapped._guard = threading.Lock()
        wrapped._patience = wrapped.gettimeout()
        super(Guarded, wrapped).settimeout(0)
        return wrapped

    def settimeout(self, value: float | None) -> None:
        """As any socket; once it is guarded, OpenSSL itself never waits."""
        if hasattr(self, "_guard"):
            self._patience = value
        else:
            super().settimeout(value)

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        """What `makefile` reads by."""
        return self._turn(lambda: super(Guarded, self).recv_into(buffer, nbytes, flags))

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """As any socket."""
        return self._turn(lambda: super(Guarded, self).recv(buflen, flags))

    def sendall(self, data: Any, flags: int = 0) -> None:
        """As any socket."""
        rest = memoryview(data).cast("B")
        while rest:
            piece = rest[:PIECE]
            rest = rest[self._turn(lambda piece=piece: super(Guarded, self).send(piece, flags)) :]  # type: ignore[misc]

    def _turn(self, act: Callable[[], T]) -> T:
        deadline = None if self._patience is None else time.monotonic() + self._patience
        while True:
            reads = True
            try:
                with self._guard:
                    return act()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLWantWriteError:
                reads = False
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError("timed out")
            # Another thread may have taken what this one waits for: it looks again before long.
            wait = LOOK if left is None else min(left, LOOK)
            select.select([self] if reads else [], [] if reads else [self], [], wait)


#: How much is given to OpenSSL at once, in bytes.
PIECE = 16 * 1024
#: How long a thread waits before it looks again, in seconds.
LOOK = 0.05
