"""`--tls` without files: the local authority, and who trusts it."""

from __future__ import annotations

import os
import socket
import stat
import subprocess

from tests.support import USER, Case, Folder, Server, require, salver_command


class Local(Case):
    """A home of its own for each test."""

    def setUp(self) -> None:
        super().setUp()
        self.folder.write("file.txt", "content\n")
        self.home = Folder()
        self.addCleanup(self.home.remove)
        self.environment = {"HOME": str(self.home.path), "XDG_DATA_HOME": ""}
        self.data = self.home.path / ".local/share/salver"

    def start(self) -> Server:
        """A server of `--tls`."""
        return self.serve("--tls", environment=self.environment)

    def curl(self, server: Server, name: str = "localhost") -> str:
        """What it gets, trusting the authority alone."""
        command = [require("curl"), "-sS", "--cacert", str(self.data / "authority.pem")]
        command += ["--resolve", f"{name}:{server.port}:127.0.0.1", f"https://{name}:{server.port}/file.txt"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def salver(self, word: str, folder: Folder | None = None) -> str:
        """Runs `salver WORD`; what it prints."""
        done = subprocess.run(
            [*salver_command(), word],
            env={**os.environ, **self.environment},
            cwd=(folder or self.home).path,
            capture_output=True,
            text=True,
            check=False,
            **USER.popen_arguments(),
        )
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        return str(done.stdout)

    def test_an_authority_is_made_once(self) -> None:
        first = self.start()
        for name in ("localhost", socket.gethostname(), "127.0.0.1"):
            self.assertEqual(self.curl(first, name), "content\n")
        made = (self.data / "authority.pem").read_bytes()
        for name in ("authority.pem", "authority.key"):
            self.assertEqual(stat.S_IMODE((self.data / name).stat().st_mode), 0o600, name)
        self.assertEqual(stat.S_IMODE(self.data.stat().st_mode), 0o700)
        first.tells("salver trust")
        second = self.start()
        self.assertEqual(self.curl(second), "content\n")
        self.assertEqual((self.data / "authority.pem").read_bytes(), made)
        self.assertNotIn("salver trust", second.log())

    def test_a_damaged_authority_is_one_line(self) -> None:
        self.start()
        (self.data / "authority.key").write_text("nothing")
        with self.assertRaisesRegex(
            AssertionError, "--tls: the authority in .* is damaged: .*; remove its two files"
        ):
            self.start()

    def test_trust_and_untrust(self) -> None:
        certutil = require("certutil", "libnss3-tools")
        store = f"sql:{self.home.path}/.pki/nssdb"

        def trusted() -> bool:
            command = [certutil, "-d", store, "-L", "-n", "salver local authority"]
            return subprocess.run(command, capture_output=True, check=False).returncode == 0

        for _ in range(2):
            told = self.salver("trust")
            self.assertIn(f"trusted by the browser's store: {self.home.path}/.pki/nssdb", told)
            self.assertTrue(trusted())
        # The user of the tests may not write the system's store: it is told what would.
        if USER.popen_arguments():
            self.assertIn("not done: the system's store", told)
            self.assertIn("update-ca-certificates", told)
        self.assertIn("removed from the browser's store", self.salver("untrust"))
        self.assertFalse(trusted())
        self.assertIn("has not got it", self.salver("untrust"))

    def test_a_folder_of_that_name_is_served(self) -> None:
        self.folder.write("trust/here.txt", "served\n")
        server = self.serve()
        self.assertEqual(server.get("/trust/here.txt").body, b"served\n")
        command = [*salver_command(), "trust", "--check-config"]
        done = subprocess.run(
            command,
            cwd=self.folder.path,
            capture_output=True,
            text=True,
            check=False,
            **USER.popen_arguments(),
        )
        self.assertEqual((done.returncode, done.stdout), (0, "The configuration is good.\n"), done.stderr)

    def test_chromium_trusts_it(self) -> None:
        """A browser that was told opens the page without a warning."""
        chromium = require("chromium")
        require("certutil", "libnss3-tools")
        self.salver("trust")
        server = self.start()
        command = [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
        ]
        command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        command += [
            f"--user-data-dir={self.home.path}/profile",
            "--dump-dom",
            f"https://localhost:{server.port}/file.txt",
        ]
        done = subprocess.run(
            command,
            env={**os.environ, **self.environment},
            cwd=self.home.path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            **USER.popen_arguments(),
        )
        self.assertIn("content", done.stdout, done.stderr[-2000:])
        server.tells('"GET /file.txt HTTP/2.0" 200')
