"""Targets and starting: what names an application, where it runs, and what is said when it cannot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any, ClassVar

from tests.asgi.hosting import TARGET as ASGI
from tests.python.hosting import APPS, TRACEBACK, Host, OwnHosts, command, on_every_python
from tests.support import PATIENCE, Started, fail


class Starting(OwnHosts):
    """Every test starts its own."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.temporary()

    def app(self, name: str, body: str = "hello", before: str = "") -> None:
        """A module with an application that answers `body`."""
        self.folder.write(name, before + APPLICATION.format(body=body))

    def start(self, target: str, *options: str, **keywords: Any) -> Host:
        """A host in the test's folder."""
        return self.serve(target, *options, **{"folder": self.folder.path, **keywords})

    def refused(self, target: str, *options: str, folder: Any = None, code: int = 1) -> tuple[str, str]:
        """The standard error of a start that fails: the lines before the last, and the last."""
        done = subprocess.run(
            command(str(self.python.program), target, *options),
            cwd=folder or self.folder.path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertNotIn("Serving HTTP", done.stdout, "nothing was bound")
        before, _, last = done.stderr.rstrip("\n").rpartition("\n")
        self.assertRegex(last, "^salver: error: ")
        return before, last


class Targets(Starting):
    """What a target names."""

    def test_shapes(self) -> None:
        for target, body in {
            "shapes": "application",
            "shapes:application": "application",
            "shapes:other": "other",
            "shapes:make()": "made",
            "shapes:instance": "object",
            "shapes:instance.method": "method",
            "shapes:Iterating": "class",
            "shapes:Handler": "handler",
            "wsgi:shapes:other": "other",
            "wsgi:shapes": "application",
            "handler:shapes:Handler": "handler",
            "shapes.py:other": "other",
            "./shapes.py:application": "application",
            str(APPS / "shapes.py:make()"): "made",
        }.items():
            with self.subTest(target):
                self.assertEqual(self.serve(target).get("/").body, body.encode())

    def test_app_before_application(self) -> None:
        self.folder.write("both.py", APPLICATION.format(body="app") + "\n\ndef application(*_):\n    pass\n")
        self.assertEqual(self.start("both").get("/").body, b"app")

    def test_packages(self) -> None:
        self.folder.write("pkg/__init__.py")
        self.app("pkg/sub.py", "sub", "from . import near\n")
        self.folder.write("pkg/near.py")
        for target in ("pkg.sub:app", "pkg.sub"):
            self.assertEqual(self.start(target).get("/").body, b"sub")

    def test_a_file_finds_its_neighbours(self) -> None:
        self.app("below/main.py", "main", "import neighbour\n")
        self.folder.write("below/neighbour.py")
        self.assertEqual(self.start("below/main.py:app").get("/").body, b"main")

    def test_the_whole_path_is_the_applications(self) -> None:
        host = self.serve("conformance:app")
        environ = json.loads(host.get("/environ/b?c").body)["environ"]
        self.assertEqual((environ["SCRIPT_NAME"], environ["PATH_INFO"]), ("", "/environ/b"))


class Mounts(Starting):
    """Several applications, files and scripts in one process."""

    def test_beside_each_other(self) -> None:
        self.folder.write("static/file.txt", "file")
        script = self.folder.write(
            "scripts/hello", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nscript'\n"
        )
        script.chmod(0o755)
        folder = self.folder.path
        host = self.serve(
            "shapes:application",
            "--mount=/api=conformance:app",
            "--mount=/api/deep=wsgi:shapes:other",
            "--mount=/class=handler:shapes:Handler",
            f"--mount=/static=files:{folder}/static",
            f"--mount=/bin=cgi:{folder}/scripts",
        )
        for path, body in {
            "/": b"application",
            "/anything": b"application",
            "/api/hello": b"Hello, world!",
            "/apix": b"application",
            "/api/deep": b"other",
            "/api/deep/er": b"other",
            "/api/deeper": b"no such route",
            "/class": b"handler",
            "/class/x": b"handler",
            "/static/file.txt": b"file",
            "/bin/hello": b"script",
        }.items():
            with self.subTest(path):
                self.assertEqual(host.get(path).body, body)
        self.assertEqual(host.get("/static/missing").status, 404)

    def test_script_name(self) -> None:
        host = self.serve("--mount=/a/b=conformance:app", "--mount=/=conformance:app")
        for path, name, info in (
            ("/a/b/environ", "/a/b", "/environ"),
            ("/a/b/environ/x%2Fy", "/a/b", "/environ/x/y"),
            ("/environ", "", "/environ"),
        ):
            with self.subTest(path):
                environ = json.loads(host.get(path).body)["environ"]
                self.assertEqual((environ["SCRIPT_NAME"], environ["PATH_INFO"]), (name, info))

    def test_one_process(self) -> None:
        host = self.serve("conformance:app", "--mount=/b=turning:app")
        pids = {json.loads(host.get(path).body)["pid"] for path in ("/process", "/b/process")}
        self.assertEqual(len(pids), 1)


class Surroundings(Starting):
    """--chdir, --app-dir, --env-file, -e, where it listens."""

    def process(self, host: Started) -> Any:
        """What the application sees of its process."""
        return json.loads(host.get("/process").body)

    def test_app_dir(self) -> None:
        host = self.start("conformance:app", "--app-dir", str(APPS))
        seen = self.process(host)
        self.assertEqual(os.path.realpath(seen["cwd"]), os.path.realpath(self.folder.path))
        self.assertIn(str(APPS), seen["path"])

    def test_chdir(self) -> None:
        host = self.start("conformance:app", "--chdir", str(APPS))
        self.assertEqual(os.path.realpath(self.process(host)["cwd"]), os.path.realpath(APPS))

    def test_variables(self) -> None:
        self.folder.write(
            "file.env", "# a comment\n\nFROM_FILE=one two\nexport QUOTED='a b'\nBOTH=file\nEMPTY=\n"
        )
        host = self.start(
            *("conformance:app", "--app-dir", str(APPS), "--env-file", "file.env"),
            *("-e", "GIVEN=x=y", "-e", "BOTH=given"),
            environment={"INHERITED": "yes"},
        )
        seen = self.process(host)["environment"]
        for name, value in {
            "FROM_FILE": "one two",
            "QUOTED": "a b",
            "EMPTY": "",
            "GIVEN": "x=y",
            "BOTH": "given",
            "INHERITED": "yes",
        }.items():
            self.assertEqual(seen.get(name), value, name)

    def test_variables_are_there_at_import(self) -> None:
        self.app("early.py", "early", "import os\nassert os.environ['EARLY'] == 'yes'\n")
        self.assertEqual(self.start("early", "-e", "EARLY=yes").get("/").body, b"early")

    def test_argv_and_version(self) -> None:
        seen = self.process(self.serve("conformance:app"))
        self.assertEqual(tuple(seen["version"]), self.python.version)

    def test_where_it_listens(self) -> None:
        program = [str(self.python.program), "-m", "salver", "shapes"]
        with Started([*program, "0"], cwd=APPS) as server:
            self.assertIn("Serving HTTP on 127.0.0.1 port", server.startup)
        with Started(program, cwd=APPS, environment={"PORT": "0"}) as server:
            self.assertIn("Serving HTTP on 0.0.0.0 port", server.startup)
            self.assertEqual(server.get("/").status, 200)
        with Started([*program, "--bind", "127.0.0.1", "0"], cwd=APPS, environment={"PORT": "1"}) as server:
            self.assertIn("Serving HTTP on 127.0.0.1 port", server.startup)

    def test_forwarded(self) -> None:
        headers = {"X_Forwarded_For": "192.0.2.1, 127.0.0.1", "X_Forwarded_Proto": "https"}
        for options, address, scheme in (
            ((), "127.0.0.1", "http"),
            (("--forwarded-allow-ips", "127.0.0.1"), "192.0.2.1", "https"),
        ):
            host = self.serve("conformance:app", *options)
            environ = json.loads(host.get("/environ", **headers).body)["environ"]
            self.assertEqual((environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]), (address, scheme))


class Listening(Starting):
    """A port is taken from the start, and answers once the application is there."""

    def test_clients_are_refused_while_it_is_imported(self) -> None:
        self.folder.write("early.py", CONNECTING)
        self.assertEqual(self.start("early").get("/").body, b"ConnectionRefusedError")

    def test_nobody_waits_for_what_does_not_start(self) -> None:
        self.folder.write("early.py", CONNECTING + "raise ValueError(SEEN)\n")
        before, _ = self.refused("early")
        self.assertIn("ValueError: ConnectionRefusedError", before)


class Interrupted(Starting):
    """Ctrl-C, which a terminal sends to all processes of the command."""

    def test_it_ends_without_a_traceback(self) -> None:
        for target in ("shapes:application", str(APPS)):
            with self.subTest(target):
                server = subprocess.Popen(
                    command(str(self.python.program), target),
                    cwd=APPS,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )
                assert server.stdout is not None
                self.assertIn("Serving HTTP", server.stdout.readline())
                os.killpg(server.pid, signal.SIGINT)
                output, errors = server.communicate(timeout=PATIENCE)
                self.assertEqual(
                    (server.returncode, output, errors), (0, "\nKeyboard interrupt received, exiting.\n", "")
                )


class Refusals(Starting):
    """One line with the mend, exit 1, before anything is bound."""

    def assertRefused(self, target: str, *says: str, folder: Any = None) -> None:
        """The one line says all that, and there is nothing else."""
        before, last = self.refused(target, folder=folder)
        self.assertEqual(before, "")
        for said in says:
            self.assertIn(said, last)

    def test_what_is_not_there(self) -> None:
        for target, *says in (
            ("missing:app", "missing", "--app-dir"),
            ("missing.deeper:app", "missing"),
            ("shapes:nope", "'nope'"),
            ("shapes:aplication", "application"),
            ("shapes:instance.nope", "'nope'"),
            ("routes:nope.app", "'nope'"),
            ("nope.py:app", "nope.py"),
            ("wsgi:missing", "missing"),
            ("handlers", "app", "application"),
        ):
            with self.subTest(target):
                self.assertRefused(target, *says, folder=APPS)

    def test_what_is_no_application(self) -> None:
        for target, *says in (
            ("shapes:number", "int"),
            ("shapes:text", "str"),
            ("shapes:make_number()", "int"),
            ("shapes:number()", "()"),
            ("wsgi:shapes:Handler", "handler:"),
            ("handler:shapes:other", "BaseHTTPRequestHandler"),
            ("handler:handlers:NotHttp", "BaseHTTPRequestHandler"),
            ("http.server:CGIHTTPRequestHandler", "salver --cgi"),
            ("asgi:shapes:application", "say wsgi:"),
            (f"wsgi:{ASGI}", "say asgi:"),
        ):
            with self.subTest(target):
                self.assertRefused(target, *says, folder=APPS)

    def test_the_applications_own_faults(self) -> None:
        self.folder.write("raises.py", "x = 1\n\ndef deep():\n    raise ValueError('boom')\n\ndeep()\n")
        self.folder.write("imports.py", "import not_installed_anywhere\n")
        self.folder.write("syntax.py", "def broken(:\n    pass\n")
        self.folder.write("exits.py", "import sys\nsys.exit(7)\n")
        self.folder.write("interrupted.py", "raise KeyboardInterrupt\n")
        self.folder.write("nested.py", "import raises\n")
        self.folder.write("mute.py", "import sys\nsys.stderr = None\nraise ValueError('boom')\n")
        for module, fault, line in (
            ("raises", "ValueError: boom", 'raises.py", line 6'),
            (
                "imports",
                "ModuleNotFoundError: No module named 'not_installed_anywhere'",
                'imports.py", line 1',
            ),
            ("syntax", "SyntaxError: ", 'syntax.py", line 1'),
            ("exits", "SystemExit", 'exits.py", line 2'),
            ("interrupted", "KeyboardInterrupt", 'interrupted.py", line 1'),
            ("nested", "ValueError: boom", 'nested.py", line 1'),
            ("mute", "ValueError: boom", 'mute.py", line 3'),
        ):
            for target in (f"{module}:app", f"{module}.py:app"):
                with self.subTest(target):
                    before, last = self.refused(target)
                    self.assertIn(fault, before)
                    self.assertIn(line, before)
                    self.assertIn(module, last)
                    self.assertLessEqual(before.count(TRACEBACK), 1)
                    self.assertNotIn("/salver/", before, "only the application's own code")
                    self.assertNotIn("importlib", before)

    def test_a_factory_that_fails(self) -> None:
        before, last = self.refused("shapes:make_fault()", folder=APPS)
        self.assertIn("RuntimeError: boom of the factory", before)
        self.assertIn("in make_fault", before)
        self.assertIn("shapes:make_fault(): RuntimeError while it was called", last)

    def test_one_of_several(self) -> None:
        _, last = self.refused("shapes", "--mount=/x=missing:app", folder=APPS)
        self.assertIn("missing", last)

    def test_surroundings(self) -> None:
        for options, said in (
            (("--chdir", "nowhere"), "nowhere"),
            (("--env-file", "missing.env"), "missing.env"),
            (("--app-dir", "nowhere"), "nowhere"),
        ):
            with self.subTest(options):
                before, last = self.refused("shapes", *options, folder=APPS)
                self.assertEqual(before, "")
                self.assertIn(said, last)

    def test_wrong_use(self) -> None:
        for options in (("--threads", "0"), ("--threads", "x"), ("-e", "novalue"), ("--no-such-option",)):
            with self.subTest(options):
                self.assertRegex(self.refused("shapes", *options, folder=APPS, code=2)[1], "salver: error: ")


class Logging(Starting):
    """--log-config: Python's logging, before the application is imported."""

    LOGS = "import logging\nlogging.getLogger('shop').info('imported')\n"
    DICT: ClassVar[dict[str, Any]] = {
        "version": 1,
        "formatters": {"short": {"format": "<%(name)s> %(message)s"}},
        "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "short"}},
        "loggers": {"shop": {"level": "INFO", "handlers": ["out"]}},
    }
    TOML = """
        version = 1
        formatters.short.format = "<%(name)s> %(message)s"
        handlers.out = {class = "logging.StreamHandler", formatter = "short"}
        loggers.shop = {level = "INFO", handlers = ["out"]}
    """
    INI = "\n".join(
        [
            *("[loggers]", "keys=root,shop", "[handlers]", "keys=out", "[formatters]", "keys=short"),
            *("[logger_root]", "level=WARNING", "handlers="),
            *("[logger_shop]", "qualname=shop", "level=INFO", "handlers=out"),
            *("[handler_out]", "class=StreamHandler", "formatter=short", "args=(sys.stderr,)"),
            *("[formatter_short]", "format=<%(name)s> %(message)s"),
        ]
    )

    def test_every_kind_of_file(self) -> None:
        self.app("one.py", before=self.LOGS)
        self.app("two.py")
        for name, text in {"a.json": json.dumps(self.DICT), "b.toml": self.TOML, "c.conf": self.INI}.items():
            if name == "b.toml" and self.python.version < (3, 11):
                continue
            with self.subTest(name):
                self.folder.write(name, text)
                host = self.start(
                    "one:app", "--mount", "/two=two:app", "--log-config", name, "--workers", "2"
                )
                self.assertEqual(host.log().count("<shop> imported\n"), 2, "once a worker")

    def test_what_is_wrong(self) -> None:
        self.app("one.py")
        self.folder.write("bad.json", "{")
        self.folder.write("list.json", "[]")
        self.folder.write("handler.json", json.dumps({"handlers": {"x": {"class": "no.such.Handler"}}}))
        self.folder.write("bad.ini", "[loggers]\nkeys=root\n")
        for name, said in {
            "none.json": "No such file",
            "bad.json": "Expecting property name",
            "list.json": "no table",
            "handler.json": "Unable to configure handler 'x'",
            "bad.ini": "formatters",
        }.items():
            with self.subTest(name):
                before, last = self.refused("one:app", "--log-config", name)
                self.assertEqual(before, "")
                self.assertRegex(last, f"--log-config {name}: .*{said}.*; write it as logging.config has it")


class Binary(Starting):
    """The binary without Python finds an interpreter, and becomes it."""

    def setUp(self) -> None:
        super().setUp()
        self.binary = os.environ.get("SALVER", "")
        if not self.binary:
            fail("SALVER is not set: tests/run.py sets it")

    def test_it_becomes_the_interpreter(self) -> None:
        environment = {"VIRTUAL_ENV": str(self.python.program.parent.parent)}
        options = ["--app-dir", str(APPS), "--bind", "127.0.0.1:0", "conformance:app"]
        with Started([self.binary, *options], environment=environment) as server:
            seen = json.loads(server.get("/process").body)
            self.assertEqual(tuple(seen["version"]), self.python.version)
            self.assertIn(
                server.pid, (seen["pid"], seen["parent"]), "the process is the same, or the worker's parent"
            )
        named = ["--python", str(self.python.program), *options]
        with Started([self.binary, *named], environment={"VIRTUAL_ENV": ""}) as server:
            self.assertEqual(server.get("/hello").body, b"Hello, world!")

    def test_it_says_what_to_install(self) -> None:
        bare = self.folder.path / "bare"
        subprocess.run([str(self.python.program), "-m", "venv", "--without-pip", str(bare)], check=True)
        done = subprocess.run(
            [self.binary, "--app-dir", str(APPS), "conformance:app"],
            env={**os.environ, "VIRTUAL_ENV": str(bare)},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"\Asalver: error: .*pip install salver==.*\n\Z")


APPLICATION = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"{body}"]
"""

# Looks for the socket that its server has bound, and connects to it while it is imported.
CONNECTING = """
import os, socket

def bound():
    for name in os.listdir("/proc/self/fd"):
        try:
            found = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue
        with found:
            if found.family == socket.AF_INET:
                return found.getsockname()

def connected():
    try:
        socket.create_connection(bound(), 5).close()
    except OSError as error:
        return type(error).__name__
    return "connected"

SEEN = connected()

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [SEEN.encode()]
"""

load_tests = on_every_python(
    (Targets, Refusals, Interrupted), (Mounts, Surroundings, Logging, Listening, Binary)
)
