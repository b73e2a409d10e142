"""Clients that people use: curl, h2load, nghttp, httpx."""

from __future__ import annotations

import importlib
import re
import subprocess
from typing import Any

from tests.certificates import certificate, trusting
from tests.support import Case, Folder, require

DUMP = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'; cat; env | sort\n"


class Clients(Case):
    """Each against HTTPS and HTTP/2."""

    def setUp(self) -> None:
        super().setUp()
        keys = Folder()
        self.addCleanup(keys.remove)
        self.pem = certificate(keys, "localhost")
        self.large = bytes(range(256)) * 20_000
        self.folder.write("file.txt", "content\n")
        self.folder.write("large", self.large)
        self.folder.write("cgi-bin/dump", DUMP).chmod(0o755)
        self.clear = self.serve("--cgi")
        self.secure = self.serve("--cgi", "--tls-cert", str(self.pem))
        self.https = f"https://localhost:{self.secure.port}"

    def run_tool(self, *command: str) -> str:
        """What it prints; a failure fails the test."""
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.decode("latin-1")

    def test_curl(self) -> None:
        curl = [
            require("curl"),
            "-s",
            "--cacert",
            str(self.pem),
            "--resolve",
            f"localhost:{self.secure.port}:127.0.0.1",
        ]
        told = "%{http_version} %{http_code} %{size_download}"
        for options, version in (["--http1.1"], "1.1"), (["--http2"], "2"), (["--http1.0"], "1.1"):
            for tls in ("--tlsv1.2", "--tlsv1.3"):
                limit = ["--tls-max", tls[-3:]]
                out = self.run_tool(
                    *curl, *options, tls, *limit, "-o", "/dev/null", "-w", told, f"{self.https}/large"
                )
                self.assertEqual(out, f"{version} 200 {len(self.large)}")
        out = self.run_tool(*curl, "--http2", "-r", "5-9", f"{self.https}/large")
        self.assertEqual(out, self.large[5:10].decode("latin-1"))
        prior = [require("curl"), "-s", "--http2-prior-knowledge"]
        out = self.run_tool(
            *prior, "-H", "Expect: 100-continue", "-d", "a=b", f"{self.clear.url}/cgi-bin/dump"
        )
        for line in (
            "a=b",
            "SERVER_PROTOCOL=HTTP/2",
            "CONTENT_LENGTH=3",
            f"HTTP_HOST=127.0.0.1:{self.clear.port}",
        ):
            self.assertIn(line, out)
        out = self.run_tool(*curl, "--http2", f"{self.https}/cgi-bin/dump")
        for line in ("HTTPS=on", "SSL_PROTOCOL=TLSv1.3", "SSL_TLS_SNI=localhost", "SSL_CLIENT_VERIFY=NONE"):
            self.assertIn(line, out)
        upload = self.folder.write("upload", self.large)
        out = self.run_tool(
            *prior,
            "--data-binary",
            f"@{upload}",
            "-o",
            "/dev/null",
            "-w",
            told,
            f"{self.clear.url}/cgi-bin/dump",
        )
        self.assertTrue(out.startswith("2 200 "), out)
        self.assertGreater(int(out.split()[2]), len(self.large))
        self.secure.tells('"GET /large HTTP/2.0" 200')

    def test_nghttp(self) -> None:
        nghttp = [require("nghttp", "nghttp2-client"), "--no-verify-peer"]
        for url in (self.https, self.clear.url):
            self.assertEqual(self.run_tool(*nghttp, f"{url}/file.txt"), "content\n")
            self.assertEqual(self.run_tool(*nghttp, f"{url}/large"), self.large.decode("latin-1"))

    def test_h2load(self) -> None:
        h2load = [require("h2load", "nghttp2-client"), "-n", "5000", "-c", "10", "-m", "50"]
        for url in (self.https, self.clear.url):
            out = self.run_tool(*h2load, f"{url}/file.txt")
            self.assertRegex(out, r"5000 succeeded, 0 failed, 0 errored")
            self.assertEqual(re.findall(r"status codes: (\d+) 2xx", out), ["5000"])

    def test_httpx(self) -> None:
        httpx: Any = importlib.import_module("httpx")
        with httpx.Client(http2=True, verify=trusting(self.pem)) as client:
            for _ in range(3):
                answer = client.get(f"{self.https}/file.txt")
                self.assertEqual(
                    (answer.http_version, answer.status_code, answer.text), ("HTTP/2", 200, "content\n")
                )
            self.assertEqual(client.get(f"{self.https}/large").content, self.large)
            sent = client.post(f"{self.https}/cgi-bin/dump", content=iter([b"one", b"two"]))
            self.assertTrue(sent.text.startswith("onetwo"), sent.text[:50])
            self.assertEqual(client.head(f"{self.https}/file.txt").headers["content-length"], "8")

    def test_an_answer_before_its_request_is_whole(self) -> None:
        """A page that says what is wrong is worth nothing to a client that is cut off before it has read it."""
        upload = self.folder.large("upload", 50_000_000)
        for server, options in (
            (self.serve("--limit-body", "100"), ["--http1.1"]),
            (self.serve("--limit-body", "100"), ["--http2-prior-knowledge"]),
            (self.serve("--limit-body", "100", "--tls-cert", str(self.pem)), ["--http2", "-k"]),
        ):
            url = f"{'https' if '-k' in options else 'http'}://127.0.0.1:{server.port}/file.txt"
            for expect in ("Expect:", "Expect: 100-continue"):
                sent = [require("curl"), "-sS", *options, "-H", expect, "--data-binary", f"@{upload}", url]
                out = self.run_tool(*sent, "-w", " %{http_code}")
                self.assertRegex(out, r"(?s)^413 Payload Too Large: .* 413$")
