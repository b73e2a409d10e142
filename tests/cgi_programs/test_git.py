"""`git http-backend`: the smart protocol, both ways."""

from __future__ import annotations

import os

from tests.cgi_programs.programs import Scripts, git, program

BACKEND = "/usr/lib/git-core/git-http-backend"
LARGE = 50_000_000  # bytes that do not compress: a chunked body of many times what is kept in memory


class HttpBackend(Scripts):
    """Clones and pushes of a bare repository."""

    def setUp(self) -> None:
        super().setUp()
        self.bare = self.project()
        git("-C", str(self.bare), "config", "http.receivepack", "true")
        self.script("git", f"#!/bin/sh\nexec {program(BACKEND, 'git')}\n")
        options = (
            "-e",
            f"GIT_PROJECT_ROOT={self.bare.parent}",
            "-e",
            "GIT_HTTP_EXPORT_ALL=1",
            "-e",
            "HOME=/nonexistent",
        )
        self.server = self.serve("--cgi", *options)
        self.url = f"{self.server.url}/cgi-bin/git/demo.git"

    def test_clone(self) -> None:
        copy = self.folder.path / "copy"
        git("clone", "-q", self.url, str(copy))
        self.assertEqual(git("-C", str(copy), "log", "--format=%s"), "number 2\nnumber 1\n")
        self.server.tells("POST /cgi-bin/git/demo.git/git-upload-pack")

    def test_a_push_of_50_megabytes_and_a_clone_of_it(self) -> None:
        work, copy = self.folder.path / "work", self.folder.path / "copy"
        (work / "large").write_bytes(os.urandom(LARGE))
        git("-C", str(work), "add", ".")
        git("-C", str(work), "commit", "-q", "-m", "large")
        git("-C", str(work), "push", "-q", self.url, "main")
        self.assertEqual(git("-C", str(self.bare), "log", "-1", "--format=%s", "main"), "large\n")
        git("-C", str(self.bare), "fsck", "--strict")
        git("clone", "-q", self.url, str(copy))
        self.assertEqual((copy / "large").read_bytes(), (work / "large").read_bytes())
