"""A WSGI application of many small ones: the first segment of the path names the function that answers.

A request's `t=TOKEN` names its test: what an application notes and waits for is kept under that token.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Callable
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    Application = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]

ROUTES: dict[str, Application] = {}
PATIENCE = 15.0  # seconds an application waits for its test
PLAIN = [("Content-Type", "text/plain")]

_events: defaultdict[str, list[str]] = defaultdict(list)
_gates: defaultdict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(0))
_lock = threading.Lock()


def route(application: Application) -> Application:
    """Serve it under its name."""
    ROUTES[application.__name__] = application
    return application


def parameter(environ: WSGIEnvironment, name: str, default: str = "") -> str:
    """A parameter of the query."""
    query: str = environ.get("QUERY_STRING", "")
    return parse_qs(query, keep_blank_values=True).get(name, [default])[0]


def note(environ: WSGIEnvironment, event: object) -> None:
    """Remember an event for the test; for a request without a token, nobody would ask."""
    if token := parameter(environ, "t"):
        _events[token].append(str(event))


def wait(environ: WSGIEnvironment) -> None:
    """Wait until the test asks `/release`, once for each time it is waited."""
    with _lock:
        gate = _gates[parameter(environ, "t")]
    if not gate.acquire(timeout=PATIENCE):
        raise TimeoutError("nobody released this request")


def answer(start_response: StartResponse, body: bytes, status: str = "200 OK") -> list[bytes]:
    """A plain answer with its length."""
    start_response(status, [*PLAIN, ("Content-Length", str(len(body)))])
    return [body]


def answer_json(start_response: StartResponse, value: Any) -> list[bytes]:
    """An answer that is JSON."""
    return answer(start_response, json.dumps(value).encode())


class Closing:
    """An iterator whose `close()` is noted."""

    def __init__(self, environ: WSGIEnvironment, chunks: Iterable[bytes]) -> None:
        self.environ = environ
        self.chunks = iter(chunks)

    def __iter__(self) -> Closing:
        return self

    def __next__(self) -> bytes:
        chunk = next(self.chunks, None)
        if chunk is None:
            note(self.environ, "end")
            raise StopIteration
        return chunk

    def close(self) -> None:
        """What the server calls in the end."""
        note(self.environ, "close")


@route
def hello(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The plainest answer."""
    return answer(start_response, b"Hello, world!")


@route
def events(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """What was noted under the token."""
    return answer_json(start_response, _events[parameter(environ, "t")])


@route
def release(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Let one `wait` of the token go on."""
    with _lock:
        gate = _gates[parameter(environ, "t")]
    gate.release()
    return answer(start_response, b"released")


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The function that the path names, or 404."""
    found = ROUTES.get(environ["PATH_INFO"].strip("/").partition("/")[0])
    if found is None:
        return answer(start_response, b"no such route", "404 Not Found")
    return found(environ, start_response)
