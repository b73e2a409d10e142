"""Servers that are started by a call: `python serve.py NAME MODULE:ATTRIBUTE PORT`, in this folder."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def run_bjoern(application: Any, port: int) -> None:
    """One thread, libev."""
    importlib.import_module("bjoern").run(application, "127.0.0.1", port)


def run_fastwsgi(application: Any, port: int) -> None:
    """One thread, libuv."""
    server = importlib.import_module("fastwsgi").server
    server.init(application, "127.0.0.1", port, loglevel=2)
    server.run()


def run_http_server(handler: Any, port: int) -> None:
    """What the standard library has: a thread a connection."""
    module = importlib.import_module("http.server")
    module.ThreadingHTTPServer.request_queue_size = 1024
    with module.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        server.serve_forever()


RUN = {"bjoern": run_bjoern, "fastwsgi": run_fastwsgi, "http.server": run_http_server}

if __name__ == "__main__":
    name, target, chosen = sys.argv[1:]
    imported, _, attribute = target.partition(":")
    sys.path.insert(0, ".")
    RUN[name](getattr(importlib.import_module(imported), attribute), int(chosen))
