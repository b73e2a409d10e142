"""wsgiref's make_server: one request, then many in a thread."""

# mypy: ignore-errors
# As people write them, without types.

import threading
import urllib.request
from wsgiref.simple_server import make_server
from wsgiref.validate import validator


def application(environ, start_response):
    body = " ".join(
        [
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"],
            environ["SERVER_PORT"] == str(server.server_port) and "port",
        ]
    )
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Wsgi", "yes")])
    return [body.encode()]


def ask(path, answers):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}{path}", timeout=10) as answer:
        answers.append((answer.status, answer.headers["X-Wsgi"], answer.read()))


answers = []
with make_server("127.0.0.1", 0, validator(application)) as server:
    client = threading.Thread(target=ask, args=("/one", answers))
    client.start()
    server.handle_request()
    client.join(10)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    for path in ("/two", "/three%20"):
        ask(path, answers)
    server.shutdown()
    thread.join(10)
    print(thread.is_alive())
server = make_server("", 0, application)
print(server.server_address[0], server.get_app() is application)
server.set_app(validator(application))
server.server_close()
print(answers)
