"""WSGI, points 6 and 11, and "bad input": what breaks the rules is a 500, one log entry, and a process that lives."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from urllib.parse import quote_plus

from tests.python.hosting import APPS, HostCase, OwnHosts, on_every_python
from tests.support import Answer, until

sys.path.insert(0, str(APPS))

BAD_HEADS: dict[str, tuple[object, object]] = __import__("failing").BAD_HEADS


class Heads(HostCase):
    """Point 6: heads that must not be sent."""

    def test_bad_heads(self) -> None:
        for case in BAD_HEADS:
            with self.subTest(case), self.host.connect() as wire:
                self.mark, self.token = self.host.mark(), f"{self.id()}-{case}".replace(" ", "-")
                wire.send(
                    f"GET {self.path('bad_head', f'case={quote_plus(case)}')} HTTP/1.1\r\nHost: x\r\n"
                    "Connection: close\r\n\r\n".encode()
                )
                sent = wire.rest()
                self.assertRegex(sent, rb"^HTTP/1\.[01] 500 ")
                for part in (b"split", b"x-b", b"body of a bad head", b"\0"):
                    self.assertNotIn(part, sent.lower())
                self.assertLogged(r"failing\.py", tracebacks=1)
        self.assertServes()

    def test_hop_by_hop(self) -> None:
        for name, value in (
            ("Keep-Alive", "timeout=99"),
            ("Transfer-Encoding", "chunked"),
            ("transfer-encoding", "gzip"),
            ("TE", "trailers"),
            ("Trailer", "X-Sum"),
            ("Upgrade", "websocket"),
            ("Proxy-Connection", "keep-alive"),
        ):
            with self.subTest(name), self.host.connect() as wire:
                self.mark = self.host.mark()
                answer = wire.ask("GET", self.path("hop_by_hop", f"name={name}&value={quote_plus(value)}"))
                self.assertEqual((answer.status, answer.body), (200, b"hop"))
                self.assertEqual(answer.header("X-Kept"), "yes")
                self.assertNotIn((name.lower(), value), [(key.lower(), text) for key, text in answer.headers])
                self.assertLogged(rf"(?i){name}")
                self.assertEqual(wire.ask("GET", "/hello").body, b"Hello, world!")

    def test_connection_close_is_obeyed(self) -> None:
        with self.host.connect() as wire:
            answer = wire.ask("GET", self.path("hop_by_hop", "name=Connection&value=close"))
            self.assertEqual((answer.body, answer.header("Connection")), (b"hop", "close"))
            self.assertEqual(wire.rest(), b"")

    def test_impossible_lengths(self) -> None:
        for values in ("abc", "-5", "+5", "5, 5", "", " ", "1e3", "0x5", "5_0", "9" * 30, "5|5", "5|6"):
            with self.subTest(values), self.host.connect() as wire:
                self.mark = self.host.mark()
                answer = wire.ask("GET", self.path("bad_length", f"values={quote_plus(values)}"))
                lengths = [value for name, value in answer.headers if name.lower() == "content-length"]
                self.assertLessEqual(len(lengths), 1)
                self.assertTrue(all(re.fullmatch(r"\d{1,18}", value) for value in lengths), lengths)
                self.assertIn((answer.status, answer.body[:5]), [(200, b"12345"), (500, answer.body[:5])])
                self.assertLogged("(?i)content-length")
                if answer.header("Connection") != "close":
                    self.assertEqual(wire.ask("GET", "/hello").body, b"Hello, world!")

    def test_what_an_application_may_say(self) -> None:
        answer = self.get("own_headers")
        self.assertEqual((answer.status, answer.reason), (299, self.reason("Any Text")))
        pairs = [(name.lower(), value) for name, value in answer.headers]
        cookies = [value for name, value in pairs if name == "set-cookie"]
        self.assertEqual(cookies, ["a=1", "b=2; Path=/", "a=1"])
        self.assertLess(pairs.index(("x-first", "1")), pairs.index(("x-second", "2")))
        for name, value in (("date", "Tue, 14 Nov 2023 22:13:20 GMT"), ("server", "own/1.0")):
            self.assertEqual([text for key, text in pairs if key == name], [value])
        self.assertEqual((answer.header("X-Latin"), answer.header("X-Empty")), ("\xe4\xff", ""))


class Exceptions(HostCase):
    """Point 11, and errors before the head, behind it, midway and in the wrong type."""

    WHAT = (
        *("ValueError", "SystemExit", "SystemExit+with+text", "KeyboardInterrupt", "GeneratorExit"),
        *("StopIteration", "BaseException", "Unprintable", "surrogate", "RecursionError", "MemoryError"),
    )

    def process(self) -> int:
        """The process that answers."""
        answer = self.host.get("/process")
        return int(json.loads(answer.body)["pid"])

    def ask(self, query: str) -> Answer | None:
        """The answer; None if it was cut."""
        with self.host.connect() as wire:
            wire.send(f"GET {self.path('raises', query)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            try:
                return wire.answer()
            except (ConnectionError, ValueError):
                return None

    def test_before_the_head_left(self) -> None:
        process = self.process()
        for what in self.WHAT:
            for when in ("called", "started", "iterated"):
                if (what, when) == ("StopIteration", "iterated"):
                    continue  # is how an iterator ends
                with self.subTest(what=what, when=when):
                    self.mark = self.host.mark()
                    answer = self.ask(f"what={what}&when={when}")
                    assert answer is not None
                    self.assertEqual(answer.status, 500)
                    self.assertNotIn(b"boom", answer.body)
                    self.assertNotIn(b"failing.py", answer.body)
                    self.assertLogged(r"failing\.py", tracebacks=1)
                    self.assertServes()
        self.assertEqual(self.process(), process)

    def test_behind_the_head(self) -> None:
        process = self.process()
        for what in self.WHAT:
            if what == "StopIteration":
                continue
            with self.subTest(what):
                self.mark = self.host.mark()
                self.assertIsNone(self.ask(f"what={what}&when=midway"), "cut")
                self.assertLogged(r"failing\.py", tracebacks=1)
                self.assertServes()
        self.assertEqual(self.process(), process)

    def test_what_the_client_has_stays(self) -> None:
        with self.host.connect() as wire:
            wire.send(f"GET {self.path('waits_then_raises')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            self.assertEqual((wire.head().status, wire.file.read(5)), (200, b"half "))
            self.host.release(self.token)
            self.assertEqual(wire.rest(), b"")
        self.assertLogged("boom of the application", tracebacks=1)

    def test_sys_exit(self) -> None:
        process = self.process()
        self.assertEqual(self.get("exits").status, 500)
        self.assertLogged(r"boom of the application", tracebacks=1)
        self.assertEqual(self.process(), process)

    def test_the_log_says_what_and_where(self) -> None:
        self.ask("what=ValueError&when=called")
        self.assertLogged(r"ValueError: boom of the application", tracebacks=1)
        self.assertLogged(self.access_line(r"GET /raises\S*") + "500 ")
        self.assertRegex(self.logged(), r'File ".*failing\.py", line \d+, in raises')

    def test_control_bytes_do_not_reach_the_log(self) -> None:
        self.ask("what=surrogate&when=called")
        self.assertLogged("boom of the application", tracebacks=1)
        self.assertNotRegex(self.logged(), "[\x00\x1b]")

    def test_wrong_types(self) -> None:
        for what in ("None", "int", "list+of+str", "list+of+None", "list+of+int", "object", "str"):
            with self.subTest(what), self.host.connect() as wire:
                self.mark = self.host.mark()
                answer = wire.ask("GET", self.path("returns", f"what={what}"))
                self.assertEqual(answer.status, 500)
                self.assertLogged("(?i)iterable|bytes", tracebacks=None)
                self.assertLess(self.logged().count("Traceback"), 2)
                self.assertServes()

    def test_an_error_of_a_request_that_nobody_waits_for(self) -> None:
        wire = self.host.connect()
        wire.send(f"GET {self.path('waits_then_raises')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wire.head()
        wire.reset()
        self.host.release(self.token)
        self.assertLogged(self.access_line(rf"GET /waits_then_raises\?t={self.token}"))
        self.assertServes()

    def test_descriptors_and_threads_are_back(self) -> None:
        self.ask("what=ValueError&when=midway")
        self.assertServes()
        until("connections are gone", lambda: self.host.established() == 0)
        descriptors, threads = self.host.descriptors(), self.host.threads()
        for _ in range(30):
            for when in ("called", "iterated", "midway"):
                self.ask(f"what=SystemExit&when={when}")
        until("descriptors are back", lambda: self.host.descriptors() <= descriptors)
        self.assertLessEqual(self.host.threads(), threads + 2)


class Limits(HostCase):
    """Recursion and memory: what Python notices is an exception, and here it notices as soon as in a thread of its own."""

    def test_what_is_exhausted(self) -> None:
        process = self.host.pid
        for what, error in (("stack", "RecursionError"), ("memory", "MemoryError")):
            with self.subTest(what):
                self.mark = self.host.mark()
                self.assertEqual(self.get("exhausts", f"what={what}").status, 500)
                self.assertLogged(error, tracebacks=1)
                self.assertServes()
        self.assertEqual(self.host.pid, process)

    def test_deep_recursion(self) -> None:
        process = self.host.pid
        for where, depth in (("python", 10_000), ("c", 3000), ("c", 10_000)):
            with self.subTest(where=where, depth=depth):
                there, here = json.loads(self.get("recurses", f"in={where}&depth={depth}").body)
                self.assertEqual(here, there)
        self.assertEqual(self.host.pid, process)


class Deaths(OwnHosts):
    """Applications that end their process: one line tells of it, and another worker answers."""

    def test_the_next_request_is_answered(self) -> None:
        for target in ("conformance:app", "handlers:Answers"):
            for how, told in (
                ("abort", "signal 6, SIGABRT"),
                ("fault", "signal 11, SIGSEGV"),
                ("0", "exit code 0"),
                ("7", "exit code 7"),
            ):
                with self.subTest(target, how=how):
                    host = self.serve(target)
                    with host.connect() as wire, contextlib.suppress(ConnectionError):
                        self.assertEqual(
                            wire.send(f"GET /dies?how={how} HTTP/1.1\r\nHost: x\r\n\r\n".encode()).rest(), b""
                        )
                    self.assertLogged(f"worker \\d+ died: {told};")
                    self.assertEqual(host.get("/hello").body, b"Hello, world!")


load_tests = on_every_python((Heads, Exceptions, Limits), (Deaths,))
