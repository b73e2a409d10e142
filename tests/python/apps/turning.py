"""Views that take their time, and a count of how many are at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import conformance
from routes import PLAIN, answer, answer_json, note, parameter, route, wait

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_lock = threading.Lock()
_inside = 0
_most = 0
_threads: set[int] = set()


def enter() -> None:
    """One more is at work."""
    global _inside, _most
    with _lock:
        _inside += 1
        _most = max(_most, _inside)
        _threads.add(threading.get_ident())


def leave() -> None:
    """One less."""
    global _inside
    with _lock:
        _inside -= 1


@route
def busy(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Works for `seconds`."""
    enter()
    time.sleep(float(parameter(environ, "seconds", "0.05")))
    leave()
    return answer(start_response, b"done")


@route
def busy_iterator(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """Works in each of its steps."""
    start_response("200 OK", [*PLAIN])
    for _ in range(3):
        enter()
        time.sleep(0.02)
        leave()
        yield b"step "


@route
def held(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Works until the test says so."""
    enter()
    note(environ, "in")
    wait(environ)
    leave()
    return answer(start_response, b"done")


@route
def spins(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Works for `seconds` in Python, with the GIL."""
    end = time.monotonic() + float(parameter(environ, "seconds", "0.05"))
    count = 0
    while time.monotonic() < end:
        count += 1
    return answer(start_response, b"%d" % count)


@route
def most(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The most that were at work at once, and in how many threads."""
    return answer_json(start_response, [_most, len(_threads)])


app = conformance.app
