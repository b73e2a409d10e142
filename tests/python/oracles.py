"""Servers that are asked what salver is asked: `python oracles.py NAME TARGET [--threads N]`, in the application's folder.

Each prints salver's startup line once it listens. What else is on the command line is salver's and is passed over.
"""

from __future__ import annotations

import argparse
import importlib
import os
import socket
import socketserver
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from wsgiref import simple_server


def load(target: str) -> Any:
    """The object that `module:attribute` or `path/to/module.py:attribute` names."""
    module, _, attribute = target.partition(":")
    if module.endswith(".py"):
        folder, _, module = module[: -len(".py")].rpartition("/")
        sys.path.insert(0, folder)
    return getattr(importlib.import_module(module), attribute or "app")


def announce(port: int) -> None:
    """The startup line."""
    print(f"Serving HTTP on 127.0.0.1 port {port} (http://127.0.0.1:{port}/) ...", flush=True)


def run_wsgiref(application: Any, threads: int) -> None:
    """The reference, a thread a connection."""

    class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
        daemon_threads = True
        request_queue_size = 128

    def setup_environ(self: simple_server.WSGIServer) -> None:
        simple_server.WSGIServer.setup_environ(self)
        self.base_environ["wsgi.oracle"] = "wsgiref"

    Server.setup_environ = setup_environ  # type: ignore[method-assign]
    kind = Server if threads > 1 else simple_server.WSGIServer
    with kind(("127.0.0.1", 0), simple_server.WSGIRequestHandler) as server:
        server.set_app(application)
        announce(server.server_port)
        server.serve_forever()


def run_gunicorn(application: Any, threads: int) -> None:
    """Its gthread workers, one process."""
    base = importlib.import_module("gunicorn.app.base")

    class Program(base.BaseApplication):  # type: ignore[misc,name-defined]
        def load_config(self) -> None:
            settings = {
                "bind": "127.0.0.1:0",
                "workers": 1,
                "threads": threads,
                "worker_class": "gthread" if threads > 1 else "sync",
                "when_ready": lambda server: announce(server.LISTENERS[0].sock.getsockname()[1]),
                "accesslog": "-",
                "control_socket_disable": True,
                "logger_class": importlib.import_module("gunicorn.glogging").Logger,
            }
            for key, value in settings.items():
                if key in self.cfg.settings:
                    self.cfg.set(key, value)
            self.cfg.set("accesslog", "/dev/stderr")

        def load(self) -> Any:
            return application

    Program().run()


def run_uvicorn(application: Any, threads: int) -> None:
    """uvicorn, for ASGI."""
    uvicorn = importlib.import_module("uvicorn")
    listener = socket.create_server(("127.0.0.1", 0))
    announce(listener.getsockname()[1])
    uvicorn.Server(uvicorn.Config(application, log_level="warning")).run(sockets=[listener])


def run_hypercorn(application: Any, threads: int) -> None:
    """hypercorn, for ASGI."""
    asyncio = importlib.import_module("asyncio")
    config = importlib.import_module("hypercorn.config").Config()
    listener = socket.create_server(("127.0.0.1", 0))
    config.bind = [f"fd://{listener.fileno()}"]
    announce(listener.getsockname()[1])
    asyncio.run(importlib.import_module("hypercorn.asyncio").serve(application, config))


def run_waitress(application: Any, threads: int) -> None:
    """waitress."""
    server = importlib.import_module("waitress").create_server(
        application, host="127.0.0.1", port=0, threads=threads
    )
    announce(server.effective_port)
    server.run()


def run_http_server(handler: type[BaseHTTPRequestHandler], _: int) -> None:
    """CPython's own server of a handler class."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        announce(server.server_port)
        server.serve_forever()


ORACLES = {
    "wsgiref": run_wsgiref,
    "gunicorn": run_gunicorn,
    "waitress": run_waitress,
    "http.server": run_http_server,
    "hypercorn": run_hypercorn,
    "uvicorn": run_uvicorn,
}


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=ORACLES)
    parser.add_argument("target")
    parser.add_argument("--threads", type=int, default=8)
    options, _ = parser.parse_known_args()
    sys.path.insert(0, os.getcwd())
    application = load(options.target)
    sys.argv[1:] = []
    ORACLES[options.name](application, options.threads)


if __name__ == "__main__":
    main()
