"""Applications that misbehave, for the tests beside it."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Awaitable, Callable, Iterable

Send = Callable[[dict[str, object]], Awaitable[None]]
Start = Callable[[str, list[tuple[str, str]]], object]


def app(environ: dict[str, str], start_response: Start) -> Iterable[bytes]:
    """The path says what it does."""
    path = environ["PATH_INFO"]
    if path == "/exit":
        os._exit(3)
    if path == "/crash":
        ctypes.string_at(0)
    if path == "/sleep":
        time.sleep(60)  # nothing of Python runs: no exception ends it
    if path == "/loop":
        while True:
            pass
    if path == "/hold":
        ctypes.PyDLL(None).sleep(60)  # holds the interpreter's lock
    if path == "/close":
        os.closerange(3, 256)  # whatever the server has open, too
    if path == "/fork" and os.fork() == 0:
        raise ValueError("in the copy")
    if path == "/second":
        time.sleep(1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]


async def blocking(scope: dict[str, object], _: object, send: Send) -> None:
    """Blocks its loop for a second."""
    assert scope["type"] == "http"
    if scope["path"] == "/fork":
        os.fork()  # and both come back
    time.sleep(1)  # noqa: ASYNC251 - which is what is wrong with it
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})
