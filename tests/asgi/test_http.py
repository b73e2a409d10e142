"""ASGI, "HTTP": scope, content, answers, faults, clients that leave; every CPython."""

from __future__ import annotations

import hashlib
import json
import signal
import sys
import threading
import time
from urllib.parse import quote_plus

from tests.asgi.hosting import APPS, TARGET, AsgiCase, OwnAsgi
from tests.asgi.test_websocket import closed, shake
from tests.python.hosting import on_every_python
from tests.support import until

sys.path.insert(0, str(APPS))

BAD: list[str] = list(__import__("conformance").BAD)


class Scope(AsgiCase):
    """Point 1: the scope."""

    def test_fields(self) -> None:
        with self.host.connect() as wire:
            wire.send(
                b"PROPFIND /scope/%C3%BC%2f;a?x=%20&y HTTP/1.1\r\nHost: h\r\nX-Twice: 1\r\nX-TWICE: \xe4\r\n"
                b"Connection: close\r\n\r\n"
            )
            scope = json.loads(wire.answer().body)
            client = list(wire.address)
        version = "2" if self.carrier.version == "HTTP/2.0" else "1.1"
        self.assertEqual(scope["type"], "http")
        self.assertEqual(scope["asgi"]["version"], "3.0")
        self.assertEqual(scope["method"], "PROPFIND")
        self.assertEqual((scope["path"], scope["raw_path"]), ("/scope/\xfc/;a", "/scope/%C3%BC%2f;a"))
        self.assertEqual((scope["query_string"], scope["root_path"]), ("x=%20&y", ""))
        self.assertEqual((scope["scheme"], scope["http_version"]), (self.carrier.scheme, version))
        self.assertEqual(scope["client"], client)
        self.assertEqual(scope["server"], ["127.0.0.1", self.host.port])
        headers = [tuple(pair) for pair in scope["headers"]]
        self.assertEqual(
            [pair for pair in headers if pair[0] == "x-twice"], [("x-twice", "1"), ("x-twice", "\xe4")]
        )
        self.assertTrue(all(name == name.lower() for name, _ in headers))

    def test_version_and_extensions(self) -> None:
        with self.host.connect() as wire:
            wire.send(b"GET /scope HTTP/1.0\r\n\r\n")
            scope = json.loads(wire.answer().body)
        scope["extensions"].pop("tls", None)
        self.assertEqual(
            (scope["http_version"], scope["extensions"]), ("1.0", {"http.response.pathsend": {}})
        )

    def test_tls(self) -> None:
        tls = self.json("scope")["extensions"].get("tls")
        if self.carrier.scheme == "http":
            self.assertIsNone(tls)
        else:
            self.assertEqual((tls["tls_version"], tls["client_cert_name"]), (0x304, None))

    def test_state_is_copied_for_each_request(self) -> None:
        self.assertEqual(self.json("state")[0], ["list"])
        names, shared = self.json("state")
        self.assertEqual(names, ["list"])
        self.assertTrue(shared)

    def test_contexts_do_not_leak(self) -> None:
        for _ in range(3):
            self.assertEqual(self.json("context"), ["nothing", self.token, True])


class Content(AsgiCase):
    """Point 2: what comes of a request's content."""

    def test_lengths(self) -> None:
        for length in (0, 1, 1000, 65536, 65537, 3_000_000):
            content = hashlib.sha256(b"%d" % length).digest() * (length // 32 + 1)
            content = content[:length]
            chunked = b"".join(
                b"%x\r\n%b\r\n" % (len(piece), piece)
                for piece in (content[at : at + 50_000] for at in range(0, length, 50_000))
            )
            for head, sent in (
                (f"Content-Length: {length}\r\n", content),
                ("Transfer-Encoding: chunked\r\n", chunked + b"0\r\n\r\n"),
            ):
                with self.subTest(length=length, head=head), self.host.connect() as wire:
                    sender = threading.Thread(target=self.send, args=(wire, "echo", head, sent))
                    sender.start()
                    self.assertEqual(wire.answer().body, content)
                    sender.join()
                    self.assertEqual(wire.ask("GET", "/hello").body, b"Hello, world!")

    def test_after_the_end_comes_the_disconnect(self) -> None:
        with self.host.connect() as wire:
            self.send(wire, "collect", "Content-Length: 5\r\n", b"12345")
            self.assertEqual(wire.answer().body, b"5")
        self.host.wait_for(self.token, "http.disconnect")

    def test_pieces_flow_both_ways(self) -> None:
        with self.host.connect() as wire:
            self.send(wire, "echo", "Transfer-Encoding: chunked\r\n", b"3\r\none\r\n")
            self.assertEqual(wire.head().status, 200)
            self.assertEqual(wire.file.readline() + wire.file.readline(), b"3\r\none\r\n")
            wire.send(b"3\r\ntwo\r\n0\r\n\r\n")
            self.assertEqual(wire.file.readline() + wire.file.readline(), b"3\r\ntwo\r\n")

    def test_a_broken_body(self) -> None:
        with self.host.connect() as wire:
            self.send(wire, "collect", "Transfer-Encoding: chunked\r\n", b"3\r\none\r\nx\r\n")
            self.assertEqual(wire.answer().status, 400)
        self.assertServes()


class Answers(AsgiCase):
    """Point 3: framing, streaming, back-pressure."""

    def test_framing(self) -> None:
        for query, method, want in (
            ("", "GET", (200, b"12345", "5", None)),
            ("", "HEAD", (200, b"", "5", None)),
            ("pieces=3", "GET", (200, b"12345" * 3, None, "chunked")),
            ("pieces=3&length=15", "GET", (200, b"12345" * 3, "15", None)),
            ("pieces=3&length=15", "HEAD", (200, b"", "15", None)),
            ("length=3", "GET", (200, b"123", "3", None)),
            ("status=204", "GET", (204, b"", None, None)),
            ("status=304&length=9", "GET", (304, b"", "9", None)),
            ("status=304&pieces=2", "GET", (304, b"", None, None)),
        ):
            with self.subTest(query, method=method), self.host.connect() as wire:
                answer = wire.ask(method, self.path("framed", query))
                got = (
                    answer.status,
                    answer.body,
                    answer.header("Content-Length"),
                    answer.header("Transfer-Encoding"),
                )
                self.assertEqual(got, want)
                self.assertEqual(wire.ask("GET", "/hello").body, b"Hello, world!")

    def test_too_little_is_a_cut(self) -> None:
        for query in ("length=9", "pieces=2&length=19"):
            with self.subTest(query), self.host.connect() as wire:
                wire.send(f"GET {self.path('framed', query)} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
                self.assertLess(len(wire.rest().partition(b"\r\n\r\n")[2]), 19)
        self.assertServes()

    def test_a_head_leaves_before_its_body(self) -> None:
        with self.host.connect() as wire:
            wire.send(f"GET {self.path('held')} HTTP/1.0\r\n\r\n".encode())
            self.assertEqual(wire.head().status, 200)
            self.host.release(self.token)
            self.assertEqual(wire.file.read(), b"held")

    def test_a_slow_reader_holds_back_its_application(self) -> None:
        with self.host.connect() as wire:
            wire.send(f"GET {self.path('flood')} HTTP/1.0\r\nHost: h\r\n\r\n".encode())
            seen = [0, -1]
            while seen[-1] != seen[-2]:
                time.sleep(0.2)
                seen.append(int(self.host.events(self.token)[0]))
            self.assertLess(seen[-1], 700)
            self.assertEqual(wire.head().status, 200)
            self.assertEqual(len(wire.file.read()), 1024 * 65536)

    def test_pathsend(self) -> None:
        answer = self.get("pathsend")
        self.assertEqual((len(answer.body), answer.header("Content-Length")), (3 << 20, str(3 << 20)))
        self.assertEqual(answer.body[:1024] * 3072, answer.body)

    def test_pathsend_when_the_head_has_left(self) -> None:
        for method, seconds in (("GET", "0"), ("GET", "0.1"), ("HEAD", "0.1")):
            with self.subTest(method, seconds=seconds), self.host.connect() as wire:
                answer = wire.ask(method, self.path("pathsend", f"seconds={seconds}"))
                self.assertEqual(answer.status, 200)
                self.assertEqual(len(answer.body), 3 << 20 if method == "GET" else 0)
                self.assertEqual(answer.body[:1024] * (len(answer.body) // 1024), answer.body)
                self.assertEqual(wire.ask("GET", "/hello").body, b"Hello, world!")

    def test_space_around_a_value(self) -> None:
        with self.host.connect() as wire:
            wire.send(b"GET /spaced HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            head = wire.rest().partition(b"\r\n\r\n")[0] + b"\r\n"
        self.assertIn(b"x-spaced: in space\r\n", head.lower())
        self.assertRegex(head.lower(), rb"x-empty: ?\r\n")

    def test_early_hints(self) -> None:
        with self.host.connect() as wire:
            wire.send(b"GET /hints HTTP/1.1\r\nHost: h\r\n\r\n")
            hint = wire.head()
            self.assertEqual(hint.status, 103)
            self.assertIn("</style.css>; rel=preload; as=style", hint.header("Link") or "")
            self.assertEqual(wire.answer().body, b"hinted")
            wire.send(b"GET /hints HTTP/1.0\r\n\r\n")
            self.assertEqual(wire.answer().body, b"hinted")

    def test_a_task_outlives_its_answer(self) -> None:
        self.assertEqual(self.get("background").body, b"answered")
        self.host.release(self.token)
        self.host.wait_for(self.token, "done")


class Faults(AsgiCase):
    """Bad input: applications that break the rules or raise; clients that leave."""

    def test_messages_that_may_not_be(self) -> None:
        for case in BAD:
            with self.subTest(case), self.host.connect() as wire:
                self.mark = self.host.mark()
                wire.send(
                    f"GET {self.path('bad', f'case={quote_plus(case)}')} HTTP/1.1\r\nHost: x\r\n"
                    "Connection: close\r\n\r\n".encode()
                )
                sent = wire.rest()
                self.assertRegex(sent, rb"^HTTP/1\.1 500 ")
                self.assertNotIn(b"split", sent.lower())
                silent = case in ("nothing", "start alone")
                self.assertLogged(
                    "without an answer" if silent else r"conformance\.py", tracebacks=int(not silent)
                )
        self.assertServes()

    def test_behind_the_end(self) -> None:
        self.assertEqual(self.get("after").body, b"whole")
        self.host.wait_for(self.token, "RuntimeError")
        self.assertEqual(self.events(), ["RuntimeError"] * 2)

    def test_pathsend_of_no_file(self) -> None:
        for kind, why in (
            ("fifo", "no plain file"),
            ("folder", "no plain file"),
            ("missing", "No such file"),
        ):
            with self.subTest(kind):
                self.mark = self.host.mark()
                self.assertEqual(self.get("pathsend", f"kind={kind}").status, 500)
                self.assertLogged(why, tracebacks=1)
        self.assertServes()

    def test_exceptions(self) -> None:
        kinds = (
            "ValueError",
            "SystemExit",
            "KeyboardInterrupt",
            "CancelledError",
            "GeneratorExit",
            "OSError",
        )
        for what in kinds:
            for when in ("called", "started", "amid", "behind"):
                with self.subTest(what=what, when=when), self.host.connect() as wire:
                    self.mark = self.host.mark()
                    query = f"what={what}&when={when}"
                    wire.send(f"GET {self.path('raises', query)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                    if when == "amid":
                        sent = wire.rest()
                        self.assertIn(b"part", sent)
                        self.assertFalse(sent.endswith(b"0\r\n\r\n"))
                    else:
                        answer = wire.answer()
                        self.assertEqual(answer.status, 200 if when == "behind" else 500)
                        self.assertNotIn(b"boom", answer.body)
                    self.assertLogged("Traceback", tracebacks=1)
        self.assertServes()

    def test_a_client_that_leaves_is_told_to_every_waiter(self) -> None:
        with self.host.connect() as wire:
            wire.send(f"GET {self.path('left')} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            self.host.wait_for(self.token, "waiting")
        self.host.wait_for(self.token, 0)  # type: ignore[arg-type]
        self.assertEqual(self.events(), ["waiting", "http.disconnect", "http.disconnect", "OSError", 0])
        self.assertServes()

    def test_clients_that_leave_at_each_point(self) -> None:
        for name, sent, answers in (
            ("collect", "Content-Length: 100000\r\n\r\nabc", False),
            ("echo", "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n", True),
            ("flood", "\r\n", True),
            ("held", "\r\n", True),
            ("ticking", "\r\n", True),
        ):
            with self.subTest(name), self.host.connect() as wire:
                wire.send(f"POST {self.path(name)} HTTP/1.1\r\nHost: h\r\n{sent}".encode())
                if answers:
                    self.assertEqual(wire.head().status, 200)
        self.host.wait_for(self.token, "ended")
        self.assertServes()
        self.assertNotIn("Traceback", self.logged(), self.logged())


class Loops(OwnAsgi):
    """Mounts side by side, a blocked loop, options, the end."""

    def test_a_blocked_loop_holds_up_nobody_else(self) -> None:
        wsgi = APPS.parent.parent / "python" / "apps" / "conformance.py"
        folder = self.temporary()
        folder.write("file", "content")
        self.start("--mount", f"/wsgi={wsgi}:app", "--mount", f"/files={folder.path}")
        with self.host.connect() as wire:
            wire.send(f"GET /block?t={self.token}&seconds=3 HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            time.sleep(0.2)
            begun = time.monotonic()
            for _ in range(5):
                self.assertEqual(self.ask("/files/file").body, b"content")
                self.assertEqual(self.ask("/wsgi/hello").body, b"Hello, world!")
            self.assertLess(time.monotonic() - begun, 2)
            self.assertEqual(wire.answer().body, b"blocked")

    def test_silence_is_a_504(self) -> None:
        self.start("--timeout", "1")
        with self.host.connect() as wire, self.host.connect() as slow, self.host.connect() as stream:
            stream.send(f"GET /held?t={self.token}2 HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            self.assertEqual(stream.head().status, 200)
            slow.send(f"POST /waits?t={self.token}3 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n".encode())
            slow.send(b"Expect: 100-continue\r\n\r\n")
            self.assertEqual(slow.head().status, 100)
            self.assertEqual(wire.ask("GET", self.path("waits")).status, 504)
            self.assertEqual(wire.ask("GET", "/hello").body, b"Hello, world!")
            self.host.wait_for(self.token, "http.disconnect")
            until("it was told so", lambda: len(self.events()) == 2)
            # A client that sends slowly, and an answer that has begun, are no silence.
            self.host.release(f"{self.token}3")
            self.assertEqual(slow.send(b"ab").answer().body, b"waited")
            self.host.release(f"{self.token}2")
            self.assertIn(b"held", stream.file.readline() + stream.file.readline())
        self.host.tells("silent for 1s")
        self.assertEqual(self.host.log().count("silent for 1s"), 1)

    def test_a_loop_that_is_held_up_for_good(self) -> None:
        self.start("--timeout", "1", "--graceful-timeout", "1")
        worker = self.host.pid
        with self.host.connect() as wire:
            wire.send(f"GET /block?t={self.token}&seconds=60 HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            self.assertEqual(wire.answer().status, 504)
        until("its worker is replaced", lambda: self.host.pid != worker)
        until("another one serves", lambda: self.ask("/hello").body == b"Hello, world!")
        self.host.tells("held up the event loop")

    def test_mounts_and_root_path(self) -> None:
        self.start("--root-path", "/proxy", "--mount", f"/api={TARGET}")
        scope = json.loads(self.ask("/api/scope/x").body)
        self.assertEqual((scope["root_path"], scope["path"]), ("/proxy/api", "/proxy/api/scope/x"))
        self.assertEqual(scope["raw_path"], "/api/scope/x")

    def test_a_factory(self) -> None:
        self.start("--factory", target=TARGET.replace(":app", ":make"))
        self.assertEqual(self.ask("/hello").body, b"Hello, world!")

    def test_debug_mode(self) -> None:
        self.start(environment={"PYTHONASYNCIODEBUG": "1", "PYTHONDEVMODE": "1"})
        for path in ("/hello", f"/context?t={self.token}", "/state"):
            self.assertEqual(self.ask(path).status, 200)
        self.assertNotIn("never awaited", self.host.log())

    def test_a_reload_closes_what_would_never_end(self) -> None:
        self.start("--workers", "2", "--graceful-timeout", "20")
        with self.host.connect() as stream, self.host.connect() as socket, self.host.connect() as held:
            stream.send(f"GET {self.path('ticking')} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            self.assertEqual(stream.head().status, 200)
            self.assertEqual(shake(socket).status, 101)
            held.send(f"GET {self.path('naps', 'seconds=1')} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            self.assertEqual(held.head().status, 200)
            self.host.process.send_signal(signal.SIGHUP)
            self.assertEqual(closed(socket), 1012)
            self.assertTrue(stream.rest().endswith(b"0\r\n\r\n"))
            self.assertIn(b"napped", held.file.readline() + held.file.readline())
        self.assertEqual(self.ask("/hello").body, b"Hello, world!")

    def test_event_streams_end_at_a_stop(self) -> None:
        self.start("--graceful-timeout", "20")
        with self.host.connect() as wire:
            wire.send(f"GET {self.path('ticking')} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            self.assertEqual(wire.head().status, 200)
            begun = time.monotonic()
            self.host.process.terminate()
            self.assertTrue(wire.rest().endswith(b"0\r\n\r\n"))
        self.assertEqual(self.host.wait(), 0)
        self.assertLess(time.monotonic() - begun, 10)

    def test_a_stop_while_the_loop_is_held_up(self) -> None:
        self.start("--graceful-timeout", "60")
        with self.host.connect() as wire:
            wire.send(f"GET /block?t={self.token}&seconds=1 HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            self.host.tells("the loop is blocked")
        self.host.process.terminate()
        self.assertEqual(self.host.wait(), 0)
        self.host.tells("lifespan shutdown")

    def test_running_requests_end_at_a_stop(self) -> None:
        self.start()
        with self.host.connect() as wire, self.host.connect() as other:
            wire.send(f"GET {self.path('held')} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            self.assertEqual(wire.head().status, 200)
            other.send(f"GET /release?t={self.token} HTTP/1.1\r\nHost: h\r\n".encode())
            self.host.process.terminate()
            other.send(b"\r\n")
            self.assertEqual(other.answer().status, 200)
            self.assertIn(b"held", wire.rest())
        self.assertEqual(self.host.wait(), 0)
        self.host.tells("lifespan shutdown")


load_tests = on_every_python([Scope, Content, Answers, Faults], [Loops])
