"""`http.server` on salver's engine: exchange the import, and the script runs as it is.

Say `from salver.http_server import ThreadingHTTPServer, SimpleHTTPRequestHandler`.

The classes are those of `http.server` but for `serve_forever`. What salver cannot do in their place is left
to them, with a warning: a socket that was wrapped in TLS by hand, requests that are forked, a server that
overrides how connections are taken or given to threads. `handle_request` is theirs, too: it takes one
connection and no more.
"""

from __future__ import annotations

import http.server
import os
import socketserver
import ssl
import threading
import warnings
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler
from typing import Any, Optional

from salver import _salver
from salver._handler import forks, hosted

__all__ = ["BaseHTTPRequestHandler", "HTTPServer", "SimpleHTTPRequestHandler", "ThreadingHTTPServer"]

#: How `http.server` takes connections and gives them to whoever answers; salver's engine does that by itself.
TAKING = (
    "get_request",
    "process_request",
    "process_request_thread",
    "shutdown_request",
    "close_request",
    "_handle_request_noblock",
)


class HTTPServer(http.server.HTTPServer):
    """`http.server.HTTPServer`: handlers are called one at a time, however many connections are open."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        self._asked_to_stop = threading.Event()
        self._stopped = threading.Event()
        self._plain = False
        super().__init__(*args, **keywords)

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Serve until `shutdown`, or until the main thread is interrupted."""
        reason = self._why_not()
        if reason is not None:
            warnings.warn(f"{reason}: served by http.server itself", RuntimeWarning, stacklevel=2)
            self._plain = True
            super().serve_forever(poll_interval)
            return
        kind, application = self._application()
        threads = None if isinstance(self, socketserver.ThreadingMixIn) else 1
        self._stopped.clear()
        engine = _salver.Engine(os.dup(self.fileno()), kind, application, self, threads)
        now = True
        try:
            # As in http.server, this thread looks around now and then: signals, `service_actions`.
            while not self._asked_to_stop.wait(poll_interval):
                self.service_actions()
            now = False
        finally:
            engine.stop(now)
            self._asked_to_stop.clear()
            self._stopped.set()

    def shutdown(self) -> None:
        """End `serve_forever`, which runs in another thread, and wait until it has ended."""
        if self._plain:
            super().shutdown()
            return
        self._asked_to_stop.set()
        self._stopped.wait()

    def _why_not(self) -> Optional[str]:
        """Why salver cannot serve in this server's place."""
        if isinstance(self.socket, ssl.SSLSocket):
            return "the socket was wrapped in TLS"
        if isinstance(self, getattr(socketserver, "ForkingMixIn", ())):
            return "requests are forked"
        if forks(self.RequestHandlerClass):
            return "CGIHTTPRequestHandler gives its socket to a process; `salver --cgi` runs scripts"
        for name in TAKING:
            known = (
                getattr(base, name, None)
                for base in (http.server.HTTPServer, socketserver.ThreadingMixIn, HTTPServer)
            )
            if hasattr(type(self), name) and getattr(type(self), name) not in known:
                return f"{type(self).__name__} overrides {name}"
        return None

    def _application(self) -> tuple[str, Callable[..., Any]]:
        """What the engine calls for a request, and how."""
        answer, _ = hosted(self.RequestHandlerClass, own_log=True)
        if type(self).finish_request is not socketserver.BaseServer.finish_request:
            answer = finish_request
        if type(self).verify_request is not socketserver.BaseServer.verify_request:
            answer = verified(answer)
        return "handler", answer


class ThreadingHTTPServer(socketserver.ThreadingMixIn, HTTPServer):
    """`http.server.ThreadingHTTPServer`: handlers on as many threads at once as `salver --threads` has."""

    daemon_threads = True


def finish_request(request: Any, client_address: Any, server: Any) -> None:
    """Leave a request to a server that knows how to answer it."""
    server.finish_request(request, client_address)


def verified(answer: Callable[..., Any]) -> Callable[..., Any]:
    """The same for requests that their server wants: the others are answered with 403."""

    def verify(request: Any, client_address: Any, server: Any) -> None:
        if server.verify_request(request, client_address):
            answer(request, client_address, server)
        else:
            request.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    return verify
