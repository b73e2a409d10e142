"""handle_request answers one; the timeout ends it when none comes; the context manager closes."""

# mypy: ignore-errors
# As people write them, without types.

import http.client
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"one")

    def log_message(self, format, *args):
        pass


class Patient(HTTPServer):
    timeout = 0.2

    def handle_timeout(self):
        print("timeout")


def ask(port, answers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/")
    answers.append(connection.getresponse().read())
    connection.close()


for kind in (HTTPServer, ThreadingHTTPServer):
    with kind(("127.0.0.1", 0), Handler) as server:
        for _ in range(2):
            answers = []
            client = threading.Thread(target=ask, args=(server.server_port, answers))
            client.start()
            server.handle_request()
            client.join(10)
            print(kind.__name__, answers)
    print(server.socket.fileno())

with Patient(("127.0.0.1", 0), Handler) as server:
    server.handle_request()
