"""What hosted handler classes may ask for beside the usual: mounts, uploads in chunks, logs, files that are wrapped."""

from __future__ import annotations

import json

from tests.python.hosting import OwnHosts, on_every_python
from tests.support import REPOSITORY, until


class Classes(OwnHosts):
    """A host a test."""

    def test_an_upload_of_unknown_length_comes_in_chunks(self) -> None:
        with self.serve("classes:Chunked").connect() as wire:
            wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            wire.send(b"3\r\none\r\n5;extension=1\r\n two \r\n0\r\nTrailer: x\r\n\r\n")
            body = wire.answer().body
            self.assertEqual(body.replace(b"|", b""), b"one two ")
            self.assertEqual(wire.ask("GET", "/hello").body, b"Hello, world!")

    def test_whoever_decides_about_continue_is_asked(self) -> None:
        host = self.serve("classes:Strict")
        with host.connect() as wire:
            head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
            self.assertEqual(wire.send(head).answer().status, 417)
        with host.connect() as wire:
            wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
            self.assertEqual(wire.answer().body, b"body")

    def test_headers_of_a_class_of_their_own(self) -> None:
        host = self.serve("classes:Strict")
        answer = host.get("/x", **{"Content-Type": 'text/plain; charset="UTF-8"', "X-A": "b"})
        kind, known, text = json.loads(answer.body)
        self.assertEqual((kind, known), ("MessageClass", ["UTF-8", "utf-8", False]))
        self.assertIn("X-A: b\n", text)

    def test_files_may_be_wrapped(self) -> None:
        with self.serve("classes:Wrapped").connect() as wire:
            text = "schön\nund gut".encode()
            wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
            self.assertEqual(wire.answer().body.decode(), "SCHÖN\nUND GUT")

    def test_a_head_leaves_before_its_content_is_there(self) -> None:
        host = self.serve("classes:Waiting")
        with host.connect() as wire:
            wire.send(f"GET {self.path('x')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            self.assertEqual(wire.head().header("Content-Type"), "text/event-stream")
            host.release(self.token)
            self.assertIn(b"data: 1\n\n", wire.file.read(14))

    def test_what_is_raised_behind_a_whole_answer(self) -> None:
        host = self.serve("classes:Raising")
        for name in ("finish", "behind"):
            self.mark = len(host.log())
            try:
                self.assertIn(host.get(f"/{name}").status, (200, 500))
            except ConnectionError:
                pass  # it is known by then that the answer is not what was meant
            self.assertLogged("boom of", tracebacks=1)
            self.assertServes()

    def test_below_a_mount(self) -> None:
        folder = self.temporary()
        folder.write("sub/a b.txt", "content")
        folder.write("api.txt", "static")
        host = self.serve(
            str(folder.path),
            "--mount=/api=classes:folder",
            "--mount=/dump=handlers:Dump",
            environment={"FOLDER": str(folder.path)},
        )
        self.assertEqual(host.get("/api.txt").body, b"static")
        for path in ("/api/sub/a%20b.txt", "/x/../api/sub/a%20b.txt?q"):
            self.assertEqual(host.get(path).body, b"content")
        self.assertIn(b"api.txt", host.get("/api").body)
        for target, path in (("/dump", "/"), ("/dump?x", "/?x"), ("/dump//a%2fb?c=%20", "/a%2fb?c=%20")):
            seen = json.loads(host.get(target).body)
            self.assertEqual((seen["path"], seen["requestline"]), (path, f"GET {target} HTTP/1.1"))

    def test_a_partial_is_a_handler_class(self) -> None:
        folder = self.temporary()
        folder.write("file.txt", "content")
        host = self.serve("classes:folder", environment={"FOLDER": str(folder.path)})
        self.assertEqual(host.get("/file.txt").body, b"content")
        self.assertEqual(host.get("/file.txt", If_Modified_Since="Fri, 01 Jan 2100 00:00:00 GMT").status, 304)

    def test_who_logs_by_itself(self) -> None:
        host = self.serve("handlers:Quiet")
        self.assertEqual(host.get("/a").status, 200)
        self.assertEqual(host.get("/b", Expect="200-maybe").status, 417)
        host.tells('"GET /b HTTP/1.1" 417')
        self.assertNotIn("/a", host.log())

    def test_a_log_that_was_asked_for_is_complete(self) -> None:
        log = self.temporary().path / "log"
        host = self.serve("handlers:Quiet", f"--access-log={log}", "--access-log-format=common")
        self.assertEqual(host.get("/a").status, 200)
        until("it is logged", lambda: log.exists() and '"GET /a HTTP/1.1" 200 5' in log.read_text())

    def test_the_guestbook_of_the_tour(self) -> None:
        tour = REPOSITORY / "examples" / "tour"
        host = self.serve("handler:guestbook.py:Guestbook", folder=tour)
        with host.connect() as wire:
            form = b"line=%3Cb%3Ewe+were+here"
            wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(form) + form)
            self.assertEqual(wire.answer().header("Location"), "/")
            self.assertIn(b"<li>&lt;b&gt;we were here</li>", wire.ask("GET", "/").body)

    def test_the_zones_of_the_tour(self) -> None:
        host = self.serve("zones.py:app", folder=REPOSITORY / "examples" / "tour")
        page = host.get("/").body
        self.assertEqual((page.count(b"<tr>"), page.rstrip().endswith(b"</table>")), (24, True))
        self.assertRegex(host.get("/?hours=2").body, rb"^\d\d:\d\d:\d\d\n$")
        refused = host.get("/?hours=%3Cx%3E")
        self.assertEqual((refused.status, b"&lt;x&gt;" in refused.body), (400, True))

    def test_no_threads_beside_each_other(self) -> None:
        host = self.serve("classes:Waiting", "--threads", "1")
        with host.connect() as first, host.connect() as second:
            first.send(f"GET {self.path('x')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            self.assertEqual(first.head().status, 200)  # it is in its call
            second.send(f"GET {self.path('y')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            second.socket.settimeout(0.2)
            with self.assertRaises(TimeoutError):
                second.socket.recv(1)
            first.reset()
            self.assertIsNone(host.process.poll())


load_tests = on_every_python((Classes,))
