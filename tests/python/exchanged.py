"""CPython's own tests of a module, unchanged, with salver's names in the place of `http.server`'s and `wsgiref`'s.

`python -m tests.python.exchanged test.test_httpservers`, with an interpreter that has salver. Every test of it is run or named in
a table here with its reason.
"""

from __future__ import annotations

import http.client
import http.server
import importlib
import os
import sys
import unittest
import wsgiref.simple_server
from typing import Any

import salver.http_server  # type: ignore[import-not-found]
import salver.wsgi  # type: ignore[import-not-found]

# Classes of which nothing is run, with the reason.
NOT_THE_SERVER: dict[str, str] = {
    "CommandLineRunTimeTestCase": "starts `python -m http.server`; tests.cpython runs it with the command",
    "CommandLineTestCase": "replaces http.server.test by a mock and looks at its arguments",
    "MiscTestCase": "compares __all__ with what the module defines, and not with what stands in for it",
    "ScriptTestCase": "replaces socketserver by a mock",
}

# Tests that salver answers otherwise on purpose; `Differences` holds what it answers in their place.
DIFFERENT: dict[str, str] = {
    "test_request_line_trimming": "a request line with a bare line end in it is 400 (RFC 9112 §3)",
    "test_version_none_get": "a request without a version is HTTP/0.9, which is 400",
    "test_path_without_leading_slash": "a target that is neither /…, absolute, authority nor * is 400",
    "test_get_dir_redirect_location_domain_injection_bug": "the path of https://host//path is /path, not all of it",
    "test_return_header_keep_alive": "the fields of the connection are the server's; HTTP/1.1 keeps it unasked",
    "test_send_error": "101 and 102 are no answers: a class cannot switch protocols, an interim head is dropped",
    "test_head_via_send_error": "205 says Content-Length: 0 (RFC 9110 §15.3.6); 101 as above",
}


def exchange() -> None:
    """As if every import of these names was written for salver."""
    for theirs, ours in ((http.server, salver.http_server), (wsgiref.simple_server, salver.wsgi)):
        for name in ours.__all__:
            setattr(theirs, name, getattr(ours, name))


def speak_the_servers_version(case: Any) -> None:
    """The tests of files want HTTP/1.0 in the status line and its end of the connection, as their class has it; here the version is
    the server's own, which keeps a connection unless it is asked to close it.
    """
    original = case.check_status_and_reason

    def request(self: Any, uri: str, method: str = "GET", body: Any = None, headers: Any = None) -> Any:
        self.connection = http.client.HTTPConnection(self.HOST, self.PORT)
        self.connection.request(method, uri, body, {**(headers or {}), "Connection": "close"})
        return self.connection.getresponse()

    def check_status_and_reason(self: Any, response: Any, status: Any, data: Any = None) -> Any:
        self.assertEqual(response.version, 11)
        response.version = 10
        return original(self, response, status, data)

    case.request = request
    case.check_status_and_reason = check_status_and_reason


def differences(module: Any) -> tuple[type[unittest.TestCase], ...]:
    """What is answered where it is named as different, by the module's own classes and servers."""

    class Redirects(module.SimpleHTTPServerTestCase):  # type: ignore[misc]
        def test_get_dir_redirect_location_domain_injection_bug(self) -> None:
            folder = self.base_url + "/existing"
            os.mkdir(os.path.join(self.tempdir, "existing"))
            for path in (
                f"/{folder}",
                f"//evil.co/..%2f../../{folder}",
                f"https://evil.co//evil.co/..%2f..{folder}",
            ):
                location = self.request(path).headers["Location"]
                self.assertRegex(location, "^/[^/]", path)

    class Differences(module.BaseHTTPServerTestCase):  # type: ignore[misc]
        def bogus(self, line: bytes) -> int:
            self.con.sock.sendall(line + b"\r\nHost: localhost\r\n\r\n")
            answer = self.con.response_class(self.con.sock)
            answer.begin()
            status: int = answer.status
            return status

        def test_request_line_trimming(self) -> None:
            self.assertEqual(self.bogus(b"XYZBOGUS / HTTP/1.1\n"), 400)

        def test_version_none_get(self) -> None:
            self.assertEqual(self.bogus(b"GET / "), 400)

        def test_path_without_leading_slash(self) -> None:
            self.assertEqual(self.bogus(b"GET test HTTP/1.1"), 400)

        def test_return_header_keep_alive(self) -> None:
            for _ in range(2):
                self.con.request("KEEP", "/")
                answer = self.con.getresponse()
                self.assertEqual((answer.status, answer.getheader("Connection")), (204, None))
                self.assertEqual(answer.read(), b"")
                self.assertIsNotNone(self.con.sock, "the connection is kept")

        def test_send_error(self) -> None:
            for code, length in ((204, None), (304, None), (205, "0")):
                self.con.request("SEND_ERROR", f"/{code}")
                answer = self.con.getresponse()
                self.assertEqual((answer.status, answer.getheader("Content-Length")), (code, length))
                self.assertIsNone(answer.getheader("Content-Type"))
                self.assertEqual(answer.read(), b"")
            for code in (101, 102):
                self.con.request("SEND_ERROR", f"/{code}")
                answer = self.con.getresponse()
                self.assertEqual((answer.status, len(answer.read()) > 0), (500, True), code)

        def test_head_via_send_error(self) -> None:
            for code, length in ((204, None), (304, None), (205, "0")):
                self.con.request("HEAD", f"/{code}")
                answer = self.con.getresponse()
                self.assertEqual((answer.status, answer.getheader("Content-Length")), (code, length))
                self.assertEqual(answer.read(), b"")

    return Redirects, Differences


def suite(module: Any) -> unittest.TestSuite:
    """All tests but those that the tables name, and ours about them."""
    found = unittest.TestSuite()
    names: set[str] = set()
    for name, case in vars(module).items():
        if not (isinstance(case, type) and issubclass(case, unittest.TestCase)) or name in NOT_THE_SERVER:
            continue
        tests = unittest.TestLoader().getTestCaseNames(case)
        names.update(tests)
        found.addTests(case(test) for test in tests if test not in DIFFERENT)
    if hasattr(module, "BaseHTTPServerTestCase"):
        speak_the_servers_version(module.SimpleHTTPServerTestCase)
        ours = {name: case for case in differences(module) for name in vars(case) if name.startswith("test_")}
        assert set(DIFFERENT) == set(ours) & names, "a table names a test that is not there"
        found.addTests(ours[test](test) for test in DIFFERENT)
    return found


def main() -> int:
    """0 if all is answered as it is meant."""
    exchange()
    module = importlib.import_module(sys.argv[1])
    outcome = unittest.TextTestRunner(verbosity=1).run(suite(module))
    print(f"{outcome.testsRun} run, {len(outcome.skipped)} skipped")
    return 0 if outcome.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
