"""A server in a thread, asked by its own process, shut down from another thread."""

# mypy: ignore-errors
# As people write them, without types.

import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{self.path} {type(self.server).__name__}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
host, port = server.server_address
print(
    host,
    port == server.server_port,
    port > 0,
    server.server_name != "",
    server.RequestHandlerClass is Handler,
)
print(server.socket.getsockname() == (host, port), server.fileno() == server.socket.fileno())
thread = threading.Thread(target=server.serve_forever)
thread.start()
for path in ("/one", "/two"):
    with urllib.request.urlopen(f"http://{host}:{port}{path}") as answer:
        print(answer.status, answer.read().decode())
server.shutdown()
thread.join(10)
print(thread.is_alive())
server.server_close()
try:
    urllib.request.urlopen(f"http://{host}:{port}/", timeout=5)
except OSError as error:
    print(type(error.reason).__name__)
again = HTTPServer((host, port), Handler)  # the port is free
print(again.server_port == port)
again.server_close()
