"""Real applications and real clients: FastAPI, Starlette, Django, Quart, Litestar; uvicorn and hypercorn beside us."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests import chromium
from tests.asgi.hosting import TARGET, OwnAsgi
from tests.asgi.test_websocket import TEXT, frame, read, shake
from tests.certificates import certificate
from tests.python.hosting import on_every_python
from tests.support import REPOSITORY, curl, until

SITES = Path(__file__).with_name("sites")
CHAT = Path(__file__).with_name("chat.mjs")
TOUR = REPOSITORY / "examples" / "tour"


class Sites(OwnAsgi):
    """Each test hosts a site."""

    def curl(self, path: str, *options: str) -> str:
        """What curl prints; it has to succeed."""
        return curl(self.host.url + path, *options).decode()

    def test_fastapi(self) -> None:
        self.start(target=f"{SITES / 'fastapi_site.py'}:app")
        self.assertEqual(json.loads(self.curl("/")), {"state": "lifespan"})
        self.assertEqual(json.loads(self.curl("/openapi.json"))["info"]["title"], "site")
        self.assertIn("swagger", self.curl("/docs"))
        kind = ("-H", "Content-Type: application/json")
        self.assertEqual(
            json.loads(self.curl("/item", *kind, "-d", '{"name": "ü", "price": 2}'))["price"], 2.0
        )
        self.assertIn("float_parsing", self.curl("/item", *kind, "-d", '{"name": "a", "price": "x"}'))
        self.assertEqual(self.curl("/depends"), '"resource"')
        self.assertEqual(self.curl("/sync"), '"from a thread"')
        self.assertEqual(self.curl("/background"), '"now"')
        self.assertEqual(self.curl("/stream"), "0\n1\n2\n3\n4\n")
        self.assertEqual(self.curl("/file"), (SITES / "fastapi_site.py").read_text())
        file = self.temporary().write("a.bin", os.urandom(3_000_000))
        self.assertEqual(
            json.loads(self.curl("/upload", "-F", f"file=@{file}")), {"name": "a.bin", "size": 3_000_000}
        )
        self.assertEqual(self.host.get("/raise").status, 500)
        with self.host.connect() as wire:
            self.assertEqual(shake(wire, "/ws").status, 101)
            wire.send(frame(TEXT, b"hi"))
            self.assertEqual(read(wire), (TEXT, b'{"got":"hi"}'))
        wanted = {"taken", "given back", "later", "closed 1006"}
        until("all of it noted", lambda: wanted == set(json.loads(self.curl("/log"))))
        self.host.tells("boom in fastapi")

    def test_others(self) -> None:
        content = "x" * 100_000
        file = self.temporary().write("content", content.encode())
        for name in ("starlette", "django", "quart", "litestar", "blacksheep"):
            with self.subTest(name):
                self.start("--factory", target=f"{SITES / 'other_sites.py'}:{name}")
                self.assertEqual(self.curl("/"), "Hello")
                plain = ("-H", "Content-Type: application/octet-stream")
                self.assertEqual(self.curl("/echo", *plain, "--data-binary", f"@{file}"), content)
                events = [line for line in self.curl("/events").split() if line.isdigit()]
                self.assertEqual(events, ["0", "1", "2"])
                self.assertNotIn("Traceback", self.host.log())

    def chat(self, words: str, heard: str, url: str = "") -> None:
        """Two pages talk to each other."""
        seen = json.loads(chromium.run(CHAT, url or self.host.url, words, heard))
        self.assertEqual(seen, [["grüß dich", "<b>hello</b>"]] * 2)

    def test_two_pages_of_chromium_in_a_room_of_channels(self) -> None:
        self.start(target=f"{SITES / 'channels_site.py'}:app")
        self.chat("#text", "#log")

    def test_two_pages_of_chromium_in_the_chat_of_the_tour(self) -> None:
        self.start(target=f"{TOUR / 'chat.py'}:app")
        self.chat("#words", "#said")

    def test_two_pages_of_chromium_by_http2(self) -> None:
        keys = self.temporary()
        pem = certificate(keys, "localhost")
        self.start("--tls-cert", str(pem), target=f"{TOUR / 'chat.py'}:app")
        self.chat("#words", "#said", f"https://localhost:{self.host.port}/")
        self.host.tells('"CONNECT / HTTP/2.0" 200')

    def test_the_chat_of_the_tour(self) -> None:
        self.start(target=f"{TOUR / 'chat.py'}:app")
        self.assertIn("WebSocket(", self.curl("/"))
        with self.host.connect() as one, self.host.connect() as other:
            for wire in (one, other):
                self.assertEqual(shake(wire, "/").status, 101)
            for said in (b"hello", b"there"):
                one.send(frame(TEXT, said))
                self.assertEqual((read(one), read(other)), ((TEXT, said), (TEXT, said)))

    def test_uvloop(self) -> None:
        self.start("--loop", "uvloop")
        self.assertEqual(self.ask("/hello").body, b"Hello, world!")
        with self.host.connect() as wire:
            self.assertEqual(shake(wire).status, 101)
            wire.send(frame(TEXT, b"hi"))
            self.assertEqual(read(wire), (TEXT, b"hi"))
        self.host.process.terminate()
        self.assertEqual(self.host.wait(), 0)

    def test_as_uvicorn_and_hypercorn_answer(self) -> None:
        """The same application answers the same, but for what this suite says is better."""
        paths = (
            "/hello",
            "/scope/a%20b?x=%ff&y",
            "/framed?pieces=3",
            "/framed?pieces=3&length=15",
            "/nowhere",
            "/context?t=1",
        )
        seen: dict[str, list[object]] = {}
        for server in ("salver", "uvicorn", "hypercorn"):
            self.serve(TARGET, server=server)
            answers: list[object] = []
            for path in paths:
                answer = self.ask(path)
                body: object = answer.body
                if path.startswith("/scope"):
                    scope = json.loads(answer.body)
                    names = (
                        "type",
                        "method",
                        "path",
                        "raw_path",
                        "query_string",
                        "root_path",
                        "scheme",
                        "http_version",
                    )
                    body = [scope[name] for name in names] + [sorted(map(tuple, scope["headers"]))[:1]]
                answers.append((path, answer.status, body, answer.header("Content-Type")))
            seen[server] = answers
        self.assertEqual(seen["salver"], seen["uvicorn"])
        self.assertEqual(seen["salver"], seen["hypercorn"])


load_tests = on_every_python([], [Sites])
