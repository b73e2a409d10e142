"""`wsgiref.simple_server` on salver's engine: exchange the import, and the script runs as it is.

Say `from salver.wsgi import make_server`; what is exchanged is `WSGIServer.serve_forever`.
"""

from __future__ import annotations

import wsgiref.simple_server
from collections.abc import Callable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, demo_app

from salver.http_server import HTTPServer

__all__ = ["WSGIRequestHandler", "WSGIServer", "demo_app", "make_server"]


class WSGIServer(HTTPServer, wsgiref.simple_server.WSGIServer):
    """`wsgiref.simple_server.WSGIServer`: the application is called one at a time."""

    def _application(self) -> tuple[str, Callable[..., Any]]:
        if self.RequestHandlerClass is WSGIRequestHandler:
            application = self.get_app()
            if application is not None:
                return "wsgi", application
        # A handler of one's own calls the application by itself, as wsgiref does.
        return super()._application()


def make_server(
    host: str,
    port: int,
    app: Callable[..., Any],
    server_class: Any = WSGIServer,
    handler_class: Any = WSGIRequestHandler,
) -> Any:
    """A server of `app`, bound to an address; `serve_forever` serves it."""
    server = server_class((host, port), handler_class)
    server.set_app(app)
    return server
