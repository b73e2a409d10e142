"""`-c gunicorn.conf.py`: settings of gunicorn become options, hooks are called, the rest is named."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

from tests.python.hosting import OwnHosts, on_every_python
from tests.support import PATIENCE, Started, fail, until

APPLICATION = """
import os

def app(environ, start_response):
    start_response("200 OK", [("X-Greeting", os.environ.get("GREETING", ""))])
    return [str(os.getppid()).encode()]
"""


class Gunicorn(OwnHosts):
    """Every test writes a configuration of its own."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.temporary()
        self.folder.write("shop.py", APPLICATION)

    def run_salver(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """The command with `options`, to its end."""
        return subprocess.run(
            [str(self.python.program), "-m", "salver", *options],
            cwd=self.folder.path,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def configured(self, text: str, *options: str, **environment: str) -> tuple[dict[str, str], str]:
        """What `--print-config` says of a configuration, and standard error."""
        self.folder.write("gunicorn.conf.py", text)
        done = self.run_salver("-c", "gunicorn.conf.py", "--print-config", *options, **environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        return dict(line.split(" = ", 1) for line in done.stdout.splitlines()), done.stderr

    def start(self, text: str, *options: str) -> Started:
        """A host that is started by a configuration."""
        self.folder.write("gunicorn.conf.py", text)
        command = [str(self.python.program), "-m", "salver", "-c", "gunicorn.conf.py", *options]
        host = Started(command, cwd=self.folder.path, environment={"PYTHONDONTWRITEBYTECODE": "1"})
        self.addCleanup(host.__exit__)
        return host

    def test_settings(self) -> None:
        options, _ = self.configured(
            """
import multiprocessing
print("what it prints is not in the way")
bind = ["127.0.0.1:8001", "unix:///run/shop.sock", ":8002", "tcp://[::1]:8003"]
workers = 1 + multiprocessing.cpu_count() // multiprocessing.cpu_count()
threads, timeout, graceful_timeout, keepalive = 3, 7, 8, 9.5
max_requests, max_requests_jitter = 100, 10
accesslog, access_log_format, loglevel = None, '%(h)s', "CRITICAL"
pidfile, user, group, umask, chdir = "shop.pid", 1000, "nogroup", 0o27, "/tmp"
raw_env = ["A=1 2", "B=3"]
forwarded_allow_ips = "127.0.0.1,10.0.0.0/8"
limit_request_line, limit_request_fields = 4000, 50
wsgi_app, certfile, keyfile = "shop:app", "cert.pem", None
reload, preload_app, daemon, worker_class, errorlog = False, True, False, "gthread", "-"
"""
        )
        for key, value in {
            "bind": '["127.0.0.1:8001", "unix:/run/shop.sock", "0.0.0.0:8002", "[::1]:8003"]',
            "workers": "2",
            "threads": "3",
            "timeout": "7",
            "graceful_timeout": "8",
            "keep_alive": '"9.5"',
            "max_requests": "100",
            "max_requests_jitter": "10",
            "access_log": '"off"',
            "access_log_format": '"%(h)s"',
            "log_level": '"error"',
            "pid": '"shop.pid"',
            "user": "1000",
            "group": '"nogroup"',
            "umask": "27",
            "chdir": '"/tmp"',
            "env": '["A=1 2", "B=3"]',
            "forwarded_allow_ips": '"127.0.0.1,10.0.0.0/8"',
            "limit_request_line": "4000",
            "limit_request_fields": "50",
            "preload": "true",
            "target": '"shop:app"',
            "tls_cert": '["cert.pem"]',
        }.items():
            self.assertEqual(options.get(key), value, key)
        self.assertNotIn("tls_key", options)
        self.assertNotIn("hooks", options)

    def test_what_wins(self) -> None:
        text = "workers, threads, timeout = 5, 5, 5\n"
        options, _ = self.configured(text, "--workers", "3", SALVER_WORKERS="4", SALVER_THREADS="4")
        self.assertEqual([options[key] for key in ("workers", "threads", "timeout")], ["3", "4", "5"])

    def test_the_rest_is_named_once(self) -> None:
        host = self.start(
            "import os\nbind = '127.0.0.1:0'\nworker_class = 'gevent'\nlimit_request_field_size = 100\n"
            "proc_name = 'shop'\nmine = 3\n\ndef pre_fork(server, worker): pass\n\ndef helper(): pass\n",
            "shop:app",
        )
        lines = [line for line in host.log().splitlines() if "gunicorn.conf.py" in line]
        self.assertEqual(len(lines), 1, host.log())
        named = "settings of gunicorn that have no meaning here: "
        self.assertIn(f"{named}worker_class, limit_request_field_size, proc_name, pre_fork", lines[0])

    def test_hooks(self) -> None:
        host = self.start(
            """
import os
bind, wsgi_app, workers, raw_env = "127.0.0.1:0", "shop:app", 2, ["GREETING=hello"]

def note(name, server, *worker):
    with open("noted", "a") as file:
        print(name, server.pid, *(one.pid for one in worker), "shop" in __import__("sys").modules, file=file)

def when_ready(server):
    note("when_ready", server)
    server.log.info("ready with %s workers", server.cfg.workers)

def post_fork(server, worker):
    note("post_fork", server, worker)

def worker_exit(server, worker):
    note("worker_exit", server, worker)

def on_exit(server):
    note("on_exit", server)
"""
        )
        noted = self.folder.path / "noted"
        pid = host.pid
        self.assertEqual(host.get("/").header("X-Greeting"), "hello")
        until("it is ready", lambda: f"when_ready {pid}" in noted.read_text())
        until("that is logged", lambda: re.search(r"\[INFO\] ready with 2 workers", host.log()) is not None)
        host.signal(signal.SIGTERM)
        self.assertEqual(host.wait(), 0)
        lines = noted.read_text().splitlines()
        self.assertEqual(lines[-1], f"on_exit {pid} False")
        workers = {line.split()[2] for line in lines if line.startswith("post_fork")}
        self.assertEqual(len(workers), 2)
        for worker in workers:
            self.assertIn(f"post_fork {pid} {worker} False", lines, "before the import")
            self.assertIn(f"worker_exit {pid} {worker} True", lines)

    def test_a_reload_reads_it_anew(self) -> None:
        text = "bind, raw_env = '127.0.0.1:0', ['GREETING={}']\n"
        host = self.start(text.format("one"), "shop:app")
        self.assertEqual(host.get("/").header("X-Greeting"), "one")
        self.folder.write("gunicorn.conf.py", "def broken(:\n")
        host.signal(signal.SIGHUP)
        host.tells("not reloaded, what was served is served on: --config")
        host.tells("SyntaxError")
        self.assertEqual(host.get("/").header("X-Greeting"), "one")
        self.folder.write("gunicorn.conf.py", text.format("two"))
        host.signal(signal.SIGHUP)
        until("it is obeyed", lambda: host.get("/").header("X-Greeting") == "two")

    def test_logging_in_the_configuration(self) -> None:
        self.folder.write(
            "shop.py", "import logging\nlogging.getLogger('shop').info('imported')\n" + APPLICATION
        )
        host = self.start(
            "bind, wsgi_app = '127.0.0.1:0', 'shop:app'\n"
            "logconfig_dict = {'handlers': {'out': {'class': 'logging.StreamHandler'}},"
            " 'loggers': {'shop': {'level': 'INFO', 'handlers': ['out']}}}\n"
        )
        host.tells("imported\n")

    def test_what_is_wrong(self) -> None:
        for text, said, traceback in (
            ("raise ValueError('boom')", "ValueError while it ran; mend", True),
            ("bind = object()", "", False),  # which is no setting that could be obeyed
            ("workers = 'many'", "workers: invalid value 'many'", False),
            ("umask = 'x'", "umask: 'x' is not what gunicorn takes for it", False),
            ("import os\nos._exit(3)", "it was not read to its end", False),
        ):
            with self.subTest(text):
                self.folder.write("gunicorn.conf.py", text)
                done = self.run_salver("-c", "gunicorn.conf.py", "--check-config", "shop:app")
                if not said:
                    self.assertEqual(done.returncode, 0, done.stderr)
                    continue
                self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
                before, _, last = done.stderr.rstrip("\n").rpartition("\n")
                self.assertRegex(last, f"^salver: error: --config gunicorn.conf.py: .*{re.escape(said)}")
                self.assertEqual("Traceback" in before, traceback, before)
        done = self.run_salver("-c", "none.py", "shop:app")
        self.assertRegex(done.stderr, r"\Asalver: error: --config none.py: No such file or directory; name a")

    def test_a_hook_that_fails_ends_the_start(self) -> None:
        text = "bind = '127.0.0.1:0'\n\ndef post_fork(server, worker):\n    raise ValueError('boom')\n"
        with self.assertRaisesRegex(
            AssertionError, "(?s)ValueError: boom.*error: .*while post_fork ran; mend"
        ):
            self.start(text, "shop:app")

    def test_the_plain_program_reads_it(self) -> None:
        binary = os.environ.get("SALVER", "")
        if not binary:
            fail("SALVER is not set: tests/run.py sets it")
        self.folder.write("gunicorn.conf.py", "bind, wsgi_app = '127.0.0.1:0', 'shop:app'\n")
        environment: dict[str, Any] = {"VIRTUAL_ENV": str(self.python.program.parent.parent)}
        command = [str(Path(binary).absolute()), "-c", "gunicorn.conf.py"]
        with Started(command, cwd=self.folder.path, environment=environment) as server:
            self.assertEqual(int(server.get("/").body), server.pid)


load_tests = on_every_python((), (Gunicorn,))
