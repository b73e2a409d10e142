"""Real applications and real clients: Flask and curl, httpbin and requests, WsgiDAV and its client, Bottle, Falcon."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

from tests.python.hosting import Host, OwnHosts, on_every_python
from tests.support import PATIENCE, curl, require

SITES = Path(__file__).with_name("sites")
CLIENTS = Path(__file__).with_name("clients")
MEGABYTE = 1 << 20


class Sites(OwnHosts):
    """Each test hosts a site."""

    def site(self, target: str, *options: str, **environment: str) -> Host:
        """A host of one of the folder `sites`."""
        return self.serve(target, *options, folder=SITES, environment=environment)

    def curl(self, path: str, *options: str) -> str:
        """What curl prints; it has to succeed."""
        return curl(self.host.url + path, *options).decode()

    def client(self, name: str, *arguments: str) -> None:
        """A client of the folder `clients`, in the environment; it has to succeed."""
        command = [str(self.python.program), str(CLIENTS / f"{name}.py"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=8 * PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done.stderr + self.host.log()[-3000:])
        self.assertRegex(done.stdout, "(?m)^all of ")


class Flask(Sites):
    """Flask."""

    def test_uploads(self) -> None:
        self.site("flask_site:app")
        file = self.temporary().write("file é.bin", os.urandom(8 * MEGABYTE))
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        seen = json.loads(self.curl("/upload", "-F", f"file=@{file}", "-F", "field=ü"))
        self.assertEqual(seen, {"file": ["file é.bin", digest], "field": "ü"})
        self.assertEqual(self.curl("/stream", "-T", str(file)), digest)
        self.assertEqual(self.curl("/stream", "-T", str(file), "-H", "Transfer-Encoding: chunked"), digest)

    def test_a_stream(self) -> None:
        host = self.site("flask_site:app")
        with host.connect() as wire:
            wire.send(b"GET /stream?name=x HTTP/1.0\r\n\r\n")
            self.assertEqual(wire.head().header("Content-Type"), "text/event-stream; charset=utf-8")
            for number in range(3):
                self.assertEqual(wire.file.readline(), b"data: %d x\n" % number)
                wire.file.readline()
                self.assertEqual(host.get("/next").status, 204)
            self.assertEqual(wire.rest(), b"")

    def test_the_rest(self) -> None:
        host = self.site("flask_site:app")
        jar = str(self.temporary().path / "jar")
        self.assertEqual([self.curl("/count", "-b", jar, "-c", jar) for _ in range(3)], ["1", "2", "3"])
        self.assertEqual(self.curl("/old", "-L", "-b", jar), "4")
        self.assertIn("not here", self.curl("/missing"))
        self.assertEqual(host.get("/fails").status, 500)
        self.assertLogged("RuntimeError: boom of the view", tracebacks=1)
        part = host.get("/file", Range="bytes=250-")
        self.assertEqual((part.status, part.body), (206, bytes(range(250, 256))))
        self.assertEqual(host.get("/file", If_None_Match='"fixed"').status, 304)
        self.assertEqual(self.curl("/count", "-I").split()[1], "200")

    def test_mounted(self) -> None:
        host = self.serve("--mount=/deep=flask_site:app", folder=SITES)
        self.assertEqual(host.get("/deep/count").body, b"1")
        self.assertRegex(
            host.get("/deep/old").header("Location") or "", r"^http://localhost(:\d+)?/deep/count$"
        )


class Httpbin(Sites):
    """httpbin, by requests."""

    def test_everything(self) -> None:
        self.site("httpbin:app")
        self.client("httpbin_client", self.host.url)


class Dav(Sites):
    """WsgiDAV."""

    def test_webdavclient(self) -> None:
        self.site("dav_site:app", FOLDER=str(self.temporary().path))
        self.client("dav_client", self.host.url, str(self.temporary().path))

    def test_cadaver(self) -> None:
        folder, here = self.temporary(), self.temporary()
        self.site("dav_site:app", FOLDER=str(folder.path))
        here.write("local.txt", "local content")
        commands = (
            "mkcol made\ncd made\nput local.txt\nmove local.txt moved.txt\nls\nget moved.txt back.txt\n"
        )
        done = subprocess.run(
            [require("cadaver"), self.host.url + "/"],
            input=commands + "quit\n",
            cwd=here.path,
            env={**os.environ, "HOME": str(here.path)},
            capture_output=True,
            text=True,
            timeout=4 * PATIENCE,
            check=False,
        )
        self.assertEqual((here.path / "back.txt").read_text(), "local content", done.stdout + done.stderr)
        self.assertEqual(sorted(path.name for path in folder.path.rglob("*")), ["made", "moved.txt"])
        self.assertEqual(len(re.findall("succeeded", done.stdout)), 5, done.stdout)


class Bottle(Sites):
    """Bottle."""

    def test_everything(self) -> None:
        folder = self.temporary()
        folder.write("style.css", "body {}" * 1000)
        host = self.site("bottle_site", FOLDER=str(folder.path))
        answer = host.get("/hello/J%C3%BCrgen%2F")
        self.assertEqual(answer.status, 404, "a decoded slash is a slash")
        self.assertEqual(host.get("/hello/J%C3%BCrgen").body.decode(), "Hello, Jürgen!")
        self.assertIn("seen=", host.get("/hello/x").header("Set-Cookie") or "")
        form = json.loads(self.curl("/form", "-F", f"file=@{folder.path}/style.css", "-F", "a=ü"))
        self.assertEqual(form, {"fields": {"a": "ü"}, "file": ["style.css", 7000]})
        style = host.get("/static/style.css")
        self.assertEqual((style.body, style.header("Content-Length")), (b"body {}" * 1000, "7000"))
        self.assertEqual(host.get("/static/style.css", Range="bytes=0-5").body, b"body {")
        since = style.header("Last-Modified") or ""
        self.assertEqual(host.get("/static/style.css", If_Modified_Since=since).status, 304)
        self.assertIn(host.get("/static/../bottle_site.py").status, (403, 404))
        self.assertEqual(host.get("/stream").body.count(b"\n"), 1000)
        self.assertEqual(host.get("/abort").status, 418)


class Falcon(Sites):
    """Falcon."""

    def test_everything(self) -> None:
        host = self.site("falcon_site:app")
        put = ("-X", "PUT", "-H", "Content-Type: application/json", "-d", '{"k": "ü"}', "-w", "%{http_code}")
        self.assertEqual(self.curl("/things/one", *put), "201")
        self.assertEqual(json.loads(host.get("/things/one").body), {"k": "ü"})
        self.assertEqual(self.curl("/things/one", "-X", "DELETE", "-w", "%{http_code}"), "204")
        missing = host.get("/things/one")
        self.assertEqual((missing.status, json.loads(missing.body)["title"]), (404, "No such thing"))
        self.assertEqual(len(host.get("/stream").body), 100_000)
        self.assertEqual(self.curl("/stream", "--data-binary", "abc"), "cba")
        self.assertEqual(self.curl("/stream", "-X", "PATCH", "-w", "%{http_code}")[-3:], "405")


load_tests = on_every_python((), (Flask, Httpbin, Dav, Bottle, Falcon))
