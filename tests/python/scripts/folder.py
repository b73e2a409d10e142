"""Files of a folder, by functools.partial and by a subclass; a server class of its own."""

# mypy: ignore-errors
# ruff: noqa: RUF012
# As people write them, without types.

import functools
import os
import tempfile
import threading
import urllib.error
import urllib.request
from http.server import HTTPServer, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn


class Own(ThreadingMixIn, HTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 50

    def verify_request(self, request, client_address):
        return client_address[0] == "127.0.0.1"


class Cors(SimpleHTTPRequestHandler):
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".own": "text/own"}

    def end_headers(self):
        self.send_header("Access-Control-Allow-Origin", "*")
        SimpleHTTPRequestHandler.end_headers(self)

    def log_message(self, format, *args):
        pass


class Plain(SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


with tempfile.TemporaryDirectory() as folder:
    Path(folder, "file.own").write_text("content")
    Path(folder, "sub").mkdir()
    os.chdir("/")
    for server_class, handler in (
        (ThreadingHTTPServer, functools.partial(Cors, directory=folder)),
        (HTTPServer, functools.partial(Plain, directory=folder)),
        (Own, functools.partial(Cors, directory=folder)),
    ):
        with server_class(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            for path in ("/file.own", "/sub", "/missing"):
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}{path}") as answer:
                        headers = answer.headers
                        print(
                            server_class.__name__,
                            answer.status,
                            headers["Content-Type"],
                            headers["Access-Control-Allow-Origin"],
                            path == "/sub" or answer.read(),
                        )
                except urllib.error.HTTPError as error:
                    print(server_class.__name__, error.code, error.headers["Access-Control-Allow-Origin"])
            server.shutdown()
