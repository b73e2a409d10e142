"""As most scripts end: serve_forever until Ctrl-C."""

# mypy: ignore-errors
# As people write them, without types.

from http.server import HTTPServer, SimpleHTTPRequestHandler

server = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
print(
    f"Serving HTTP on 127.0.0.1 port {server.server_port} (http://127.0.0.1:{server.server_port}/) ...",
    flush=True,
)
try:
    server.serve_forever()
except KeyboardInterrupt:
    print("interrupted", flush=True)
server.server_close()
print("closed", flush=True)
