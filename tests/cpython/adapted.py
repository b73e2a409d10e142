"""`test.test_httpservers` of this interpreter against the binary: only the start of the server is replaced.

Every class and every test of it is run or named in a table here with its reason; what the tables do not say is an error.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import tempfile
import unittest
import warnings
from typing import Any, final

from tests import support

# Classes whose tests are run, with the options the server needs for them. HTTP/1.0 because the tests assert that the
# connection ends after each answer, which is what http.server does unasked.
RUN: dict[str, list[str]] = {
    "SimpleHTTPServerTestCase": ["--protocol", "HTTP/1.0"],
    "CommandLineRunTimeTestCase": [],
    "CGIHTTPServerTestCase": [
        *("--protocol", "HTTP/1.0", "--cgi"),
        "--mount=/sub/dir/cgi-bin=cgi:{root}/sub/dir/cgi-bin",  # what a test appends to `cgi_directories`
    ],
}

# Classes that test Python objects and not a server that answers, with the reason.
NOT_A_SERVER: dict[str, str] = {
    "BaseHTTPServerTestCase": "answers come from do_TEST and the like of a handler class made in the test",
    "BaseHTTPRequestHandlerTestCase": "calls BaseHTTPRequestHandler's methods on in-memory files",
    "CommandLineTestCase": "replaces http.server.test by a mock and looks at its arguments",
    "HTTPSServerTestCase": "creates HTTPSServer objects",
    "BaseHTTPSServerTestCase": "creates HTTPSServer objects",
    "MiscTestCase": "looks at the module's __all__",
    "RequestHandlerLoggingTestCase": "calls a handler class made in the test and looks at sys.stderr",
    "ScriptTestCase": "replaces socketserver by a mock",
    "SimpleHTTPRequestHandlerTestCase": "calls translate_path on an object without a connection",
}

# Tests of the classes that run which salver answers otherwise on purpose: the row of the table of differences that says
# so. `Differences` holds what it answers in place.
DIFFERENT: dict[str, str] = {
    "test_browser_cache_with_If_None_Match_header": "If-None-Match is obeyed: * of a file that exists is 304",
    "test_no_leading_slash": "a target that is neither /…, absolute, authority nor * is 400",
    "test_path_without_leading_slash": "a target that is neither /…, absolute, authority nor * is 400",
}

# Tests of the classes that run which cannot apply, with the reason.
NOT_APPLICABLE: dict[str, str] = {
    "test_url_collapse_path": "calls a function of the Python module",
    "test_https_client": "this salver speaks no TLS",
    "test_extra_response_headers_list_dir": "sets an attribute of the Python handler",
    "test_extra_response_headers_get_file": "sets an attribute of the Python handler",
    "test_extra_response_headers_missing_on_404": "sets an attribute of the Python handler",
}


def test_names(case: type[unittest.TestCase]) -> list[str]:
    """All tests of a class."""
    return unittest.TestLoader().getTestCaseNames(case)  # type: ignore[return-value,unused-ignore]


def named(test: str) -> bool:
    """Whether a table names the test as one that is not run."""
    return test in DIFFERENT or test in NOT_APPLICABLE


@final
class Interpreter:
    """In place of `support.PythonSymlink`: scripts name an interpreter that the ordinary user may run."""

    python = ""

    def __init__(self, link: str) -> None:
        self.link = link

    def __enter__(self) -> Interpreter:
        os.symlink(self.python, self.link)
        return self

    def __exit__(self, *_: object) -> None:
        os.unlink(self.link)


def replace_server_start(module: Any) -> None:
    """Let `BaseTestCase` start the binary, in the folder that is current when the address is first asked for."""

    def set_up(self: Any) -> None:
        self.salver = None

    def tear_down(self: Any) -> None:
        self.connection.close()
        if self.salver is not None:
            self.salver.__exit__()

    def server(self: Any) -> support.Server:
        if self.salver is None:
            options = [option.format(root=os.getcwd()) for option in RUN[type(self).__name__]]
            self.salver = support.Server(os.getcwd(), *options)
        started: support.Server = self.salver
        return started

    module.BaseTestCase.setUp = set_up
    module.BaseTestCase.tearDown = tear_down
    module.BaseTestCase.HOST = property(lambda self: server(self).host)
    module.BaseTestCase.PORT = property(lambda self: server(self).port)

    if hasattr(module, "CGIHTTPServerTestCase"):
        # Decided when the module was imported, as root; the tests run as an ordinary user.
        module.CGIHTTPServerTestCase.__unittest_skip__ = False
        module.support.PythonSymlink = Interpreter

    def spawn(*arguments: str, **keywords: Any) -> subprocess.Popen[Any]:
        if arguments[:3] != ("-u", "-m", "http.server"):
            raise AssertionError(f"not a start of http.server: {arguments}")
        command = [*support.salver_command(), *arguments[3:]]
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(command, **{**streams, **keywords})

    module.spawn_python = spawn


class Tables(unittest.TestCase):
    """Nothing is left out in silence."""

    module: Any

    def test_every_class_is_run_or_named(self) -> None:
        cases = {
            name
            for name, value in vars(self.module).items()
            if isinstance(value, type) and issubclass(value, unittest.TestCase) and test_names(value)
        }
        self.assertEqual(cases - set(RUN) - set(NOT_A_SERVER), set())
        self.assertEqual(set(RUN) & set(NOT_A_SERVER), set())

    def test_every_difference_has_its_own_test(self) -> None:
        self.assertLessEqual(set(DIFFERENT), set(test_names(Differences)))
        theirs = {name for case in RUN for name in test_names(getattr(self.module, case, Differences))}
        self.assertLessEqual(set(DIFFERENT), theirs | {"test_no_leading_slash"})  # Python 3.15 has no CGI


class Differences(support.Case):
    """What salver answers where it is named as different."""

    def test_browser_cache_with_If_None_Match_header(self) -> None:
        self.folder.write("test", "Ni!")
        answer = self.serve().get("/test", If_None_Match="*")
        self.assertEqual((answer.status, answer.body), (304, b""))

    def test_no_leading_slash(self) -> None:
        script = self.folder.write("cgi-bin/file1.py", "#!/bin/sh\nprintf 'X: y\\n\\n'\n")
        script.chmod(0o755)
        with self.serve("--cgi").connect() as wire:
            wire.send(b"GET cgi-bin/file1.py HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertEqual(wire.answer().status, 400)

    def test_path_without_leading_slash(self) -> None:
        self.folder.write("test", "Ni!")
        with self.serve().connect() as wire:
            wire.send(b"GET test HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertEqual(wire.answer().status, 400)
            self.assertEqual(wire.rest(), b"", "the connection is closed")


def load_tests(loader: unittest.TestLoader, _: Any, __: Any) -> unittest.TestSuite:
    """CPython's tests that apply, then ours about them."""
    suite = unittest.TestSuite()
    for name in RUN:
        case = getattr(Tables.module, name, None)
        if case is not None:
            suite.addTests(case(test) for test in test_names(case) if not named(test))
    suite.addTests(loader.loadTestsFromTestCase(Tables))
    suite.addTests(loader.loadTestsFromTestCase(Differences))
    return suite


def main() -> None:
    """Import everything, become an ordinary user, run."""
    warnings.simplefilter("ignore", DeprecationWarning)
    module = importlib.import_module("test.test_httpservers")
    importlib.import_module(
        "encodings.idna"
    )  # asked for later, when an interpreter below /root can be read no more
    Tables.module = module
    Interpreter.python = support.python_for_user()
    replace_server_start(module)
    support.USER.become()
    with support.Folder() as folder:
        os.chdir(folder.path)  # where some tests make their own folder
        tempfile.tempdir = str(folder.path)
        support.main("tests.cpython", ["adapted"])
