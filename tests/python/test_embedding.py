"""Servers inside of programs: `salver.serve`, and the modules in place of `http.server` and `wsgiref`, beyond what their
originals would print."""

from __future__ import annotations

import signal
import subprocess

from tests.python.hosting import APPS, OwnHosts, on_every_python
from tests.support import Started

# What the programs below begin with. `ask` gives a status and a body.
PRELUDE = """
import functools, os, socket, ssl, sys, threading, urllib.error, urllib.request, warnings
import salver
from salver.http_server import BaseHTTPRequestHandler, HTTPServer, SimpleHTTPRequestHandler, ThreadingHTTPServer
from salver.wsgi import WSGIRequestHandler, WSGIServer, demo_app, make_server

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.server.answer(self) if hasattr(self.server, "answer") else self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, format, *args):
        pass

def ask(server, path="/"):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}{path}", timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()

def started(server):
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    return thread
"""


class Programs(OwnHosts):
    """No host of its own: programs that end by themselves."""

    def run_program(self, program: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """What it prints, once it has ended with `code`."""
        done = subprocess.run(
            [str(self.python.program), "-c", PRELUDE + program],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=APPS,
        )
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def assertPrints(self, program: str, *lines: str) -> None:
        """It prints these lines, and nothing about itself."""
        done = self.run_program(program)
        self.assertEqual(done.stdout.splitlines(), list(lines), done.stderr)
        self.assertNotIn("Traceback", done.stderr)


class Embedding(Programs):
    """The modules in place of `http.server` and `wsgiref`."""

    def test_several_servers_and_what_they_keep(self) -> None:
        self.assertPrints(
            """
class Counting(ThreadingHTTPServer):
    def __init__(self, *args):
        super().__init__(*args)
        self.count = 0
    def answer(self, handler):
        self.count += 1
        return b"%d" % self.count
with Counting(("127.0.0.1", 0), Handler) as one, HTTPServer(("127.0.0.1", 0), Handler) as other:
    threads = started(one), started(other)
    print(ask(one), ask(one), ask(other, "/x"), one.count)
    one.shutdown()
    print(ask(other, "/y"))
    other.shutdown()
    again = started(other)
    print(ask(other, "/z"))
    other.shutdown()
    for thread in (*threads, again):
        thread.join()
print("end")
""",
            "(200, b'1') (200, b'2') (200, b'/x') 2",
            "(200, b'/y')",
            "(200, b'/z')",
            "end",
        )

    def test_how_many_at_once(self) -> None:
        self.assertPrints(
            """
for kind in (HTTPServer, ThreadingHTTPServer):
    with kind(("127.0.0.1", 0), Handler) as server:
        barrier = threading.Barrier(2)
        inside = []
        def answer(handler):
            inside.append(1)
            most = len(inside)
            try:
                barrier.wait(5 if kind is ThreadingHTTPServer else 0.3)
            except threading.BrokenBarrierError:
                pass
            inside.pop()
            return b"%d" % most
        server.answer = answer
        started(server)
        found = []
        clients = [threading.Thread(target=lambda: found.append(ask(server)[1])) for _ in range(2)]
        for client in clients: client.start()
        for client in clients: client.join()
        print(kind.__name__, sorted(found))
        server.shutdown()
""",
            "HTTPServer [b'1', b'1']",
            "ThreadingHTTPServer [b'1', b'2']",
        )

    def test_servers_with_methods_of_their_own(self) -> None:
        self.assertPrints(
            """
import contextlib, tempfile
from pathlib import Path
class Own(ThreadingHTTPServer):
    actions = 0
    def finish_request(self, request, client_address):
        self.RequestHandlerClass(request, client_address, self, directory=folder)
    def verify_request(self, request, client_address):
        return request.getpeername() == client_address and self.open
    def service_actions(self):
        self.actions += 1
        acted.set()
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "file").write_text("content")
    acted = threading.Event()
    class Silent(SimpleHTTPRequestHandler):
        log_message = lambda *_: None
    with Own(("127.0.0.1", 0), Silent) as server:
        server.open = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        print(ask(server, "/file"))
        server.open = False
        print(ask(server, "/file"))
        print(acted.wait(10), server.actions > 0)
        server.shutdown()
""",
            "(200, b'content')",
            "(403, b'')",
            "True True",
        )

    def test_what_is_called_may_be_a_function(self) -> None:
        self.assertPrints(
            """
class Named(Handler):
    def __init__(self, name, *args):
        self.name = name
        super().__init__(*args)
    def do_GET(self):
        self.wfile.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\n" + self.name)
for called in (lambda *args: Named(b"free", *args), functools.partial(Named, b"part")):
    with HTTPServer(("127.0.0.1", 0), called) as server:
        started(server)
        print(ask(server), ask(server), server.RequestHandlerClass is called)
        server.shutdown()
""",
            "(200, b'free') (200, b'free') True",
            "(200, b'part') (200, b'part') True",
        )

    def test_a_handler_may_shut_its_server_down(self) -> None:
        self.assertPrints(
            """
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
def answer(handler):
    threading.Thread(target=server.shutdown).start()
    return b"bye"
server.answer = answer
thread = started(server)
print(ask(server))
thread.join(20)
print(thread.is_alive())
""",
            "(200, b'bye')",
            "False",
        )

    def test_what_http_server_does_better_is_left_to_it(self) -> None:
        self.assertPrints(
            """
class Taking(HTTPServer):
    def get_request(self):
        request, address = super().get_request()
        return request, ("taken", address[1])
warnings.simplefilter("error")
server = Taking(("127.0.0.1", 0), Handler)
try:
    server.serve_forever()
except RuntimeWarning as warning:
    print(warning)
warnings.simplefilter("ignore")
server.answer = lambda handler: handler.client_address[0].encode()
thread = started(server)
print(ask(server))
server.shutdown()
thread.join()
server.server_close()
secure = HTTPServer(("127.0.0.1", 0), Handler)
secure.socket = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).wrap_socket(secure.socket, server_side=True)
warnings.simplefilter("error")
try:
    secure.serve_forever()
except RuntimeWarning as warning:
    print(warning)
from http.server import CGIHTTPRequestHandler
scripts = HTTPServer(("127.0.0.1", 0), functools.partial(CGIHTTPRequestHandler, directory="."))
try:
    scripts.serve_forever()
except RuntimeWarning as warning:
    print(warning)
""",
            "Taking overrides get_request: served by http.server itself",
            "(200, b'taken')",
            "the socket was wrapped in TLS: served by http.server itself",
            "CGIHTTPRequestHandler gives its socket to a process; `salver --cgi` runs scripts: "
            "served by http.server itself",
        )

    def test_wsgi_with_a_handler_of_its_own(self) -> None:
        self.assertPrints(
            """
logged = []
class Logging(WSGIRequestHandler):
    def log_message(self, format, *args):
        logged.append(format % args)
    def get_environ(self):
        return {**super().get_environ(), "OWN": "yes"}
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ.get("OWN", "no").encode(), environ["wsgi.input"].read(0)]
for handler in (Logging, WSGIRequestHandler):
    with make_server("127.0.0.1", 0, application, handler_class=handler) as server:
        started(server)
        print(ask(server), isinstance(server, WSGIServer))
        server.shutdown()
print(len(logged), logged[0])
""",
            "(200, b'yes') True",
            "(200, b'no') True",
            '1 "GET / HTTP/1.1" 200 3',
        )

    def test_exceptions_are_logged_and_the_server_lives(self) -> None:
        done = self.run_program(
            """
class Raising(Handler):
    def do_GET(self):
        raise ValueError("boom") if self.path == "/boom" else SystemExit("leaving")
for kind in (HTTPServer, ThreadingHTTPServer):
    with kind(("127.0.0.1", 0), Raising) as server:
        started(server)
        print(ask(server, "/boom")[0], ask(server, "/exit")[0])
        server.shutdown()
"""
        )
        self.assertEqual(done.stdout, "500 500\n500 500\n")
        self.assertEqual(done.stderr.count("ValueError: boom"), 2, done.stderr)
        self.assertEqual(done.stderr.count("SystemExit: leaving"), 2, done.stderr)


class Serve(Programs):
    """`salver.serve`."""

    def test_a_folder_and_objects_below_it(self) -> None:
        folder = self.temporary()
        folder.write("file.txt", "content")
        program = f"""
import salver, handlers
from routes import app
salver.serve({str(folder.path)!r}, mount={{"/app": app, "/class": handlers.Dump}}, bind=["127.0.0.1:0"],
    header={{"X-A": "1", "X-B": "2"}}, access_log="off", keep_alive=1.5, hidden=True, config=None)
"""
        with Started([str(self.python.program), "-c", program], cwd=APPS) as server:
            answer = server.get("/file.txt")
            self.assertEqual(
                (answer.body, answer.header("X-A"), answer.header("X-B")), (b"content", "1", "2")
            )
            self.assertEqual(server.get("/app/hello").body, b"Hello, world!")
            self.assertIn(b'"path": "/x"', server.get("/class/x").body)
            server.signal(signal.SIGINT)
            self.assertEqual(server.wait(), 0)
            assert server.process.stdout is not None
            self.assertEqual(server.process.stdout.read(), "\nKeyboard interrupt received, exiting.\n")
            self.assertEqual(server.log(), "")

    def test_elsewhere_signals_stay_the_programs_own(self) -> None:
        program = """
import signal, sys, threading, salver
from routes import app
heard = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: heard.set())
threading.Thread(target=salver.serve, args=(app,), kwargs={"bind": "127.0.0.1:0"}, daemon=True).start()
while not heard.wait(0.05):
    pass
print("mine", flush=True)
"""
        with Started([str(self.python.program), "-c", program], cwd=APPS) as server:
            self.assertEqual(server.get("/hello").status, 200)
            server.signal(signal.SIGTERM)
            self.assertEqual(server.wait(), 0)
            assert server.process.stdout is not None
            self.assertEqual(server.process.stdout.read(), "mine\n")

    def test_keywords_that_are_none(self) -> None:
        for keywords, said in (
            ("thraeds=3", "thraeds: no such option; threads is one"),
            ("threads=0", "threads: invalid value '0' for '--threads <N>': give at least 1"),
            ("threads=[1, 2]", "threads: not what it takes; give one value"),
            ("header='X'", "header: not what it takes; give an array of pairs"),
        ):
            with self.subTest(keywords):
                done = self.run_program(f"salver.serve('.', {keywords})", 1)
                self.assertIn(f"TypeError: {said}", done.stderr)

    def test_what_cannot_start(self) -> None:
        done = self.run_program(
            """
taken = socket.create_server(("127.0.0.1", 0))
try:
    salver.serve(demo_app, bind="127.0.0.1:%d" % taken.getsockname()[1])
except SystemExit as error:
    print(error.code)
"""
        )
        self.assertEqual(done.stdout, "1\n")
        self.assertRegex(done.stderr, r"\Asalver: error: port \d+ of 127\.0\.0\.1 is taken; .*\n\Z")


load_tests = on_every_python((Embedding, Serve))
