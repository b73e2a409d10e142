"""What a target can name: applications in every shape, and what is none."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import routes

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

number = 3
text = "text"


def named(name: str, _: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answers its name."""
    return routes.answer(start_response, name.encode())


application = functools.partial(named, "application")
other = functools.partial(named, "other")


def make() -> Any:
    """A factory."""
    return functools.partial(named, "made")


def make_number() -> int:
    """A factory of what is no application."""
    return 3


def make_fault() -> Any:
    """A factory that fails."""
    raise RuntimeError("boom of the factory")


class Callable:
    """An application that is an object, with another inside."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answers."""
        return named("object", environ, start_response)

    def method(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """A bound method is an application too."""
        return named("method", environ, start_response)


instance = Callable()


class Iterating:
    """An application that is a class: its instances are the answers."""

    def __init__(self, environ: WSGIEnvironment, start_response: StartResponse) -> None:
        routes.answer(start_response, b"class")

    def __iter__(self) -> Any:
        return iter([b"class"])


class Handler(BaseHTTPRequestHandler):
    """A handler class."""

    def do_GET(self) -> None:
        """Answers."""
        self.send_response(200)
        self.send_header("Content-Length", "7")
        self.end_headers()
        self.wfile.write(b"handler")
