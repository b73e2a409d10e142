"""`git clone` of a bare repository over plain files."""

from __future__ import annotations

import os
import subprocess

from tests.support import Case, Folder, require

IDENTITY = {
    **{f"GIT_{who}_NAME": "Terry" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "terry@example.org" for who in ("AUTHOR", "COMMITTER")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
}


class Git(Case):
    """The dumb protocol: info/refs, HEAD, loose objects and packs are just files."""

    def git(self, *arguments: str) -> str:
        """What git prints."""
        command = [require("git"), "-c", "safe.directory=*", *arguments]
        done = subprocess.run(
            command, env={**os.environ, **IDENTITY}, capture_output=True, text=True, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def clone(self, packed: bool) -> None:
        """Commit three times, publish, clone, compare."""
        with Folder() as scratch:
            work, bare, copy = scratch.path / "work", self.folder.path / "project.git", scratch.path / "copy"
            self.git("init", "-q", "-b", "main", str(work))
            for number in range(3):
                (work / f"file{number}.txt").write_text(f"line {number}\n" * 1000)
                self.git("-C", str(work), "add", ".")
                self.git("-C", str(work), "commit", "-q", "-m", f"number {number}")
            self.git("clone", "-q", "--bare", "--no-local", str(work), str(bare))
            if packed:
                self.git("-C", str(bare), "repack", "-a", "-d", "-q")
            self.git("-C", str(bare), "update-server-info")
            self.git("clone", "-q", f"{self.serve().url}/project.git", str(copy))
            self.assertEqual(
                self.git("-C", str(copy), "log", "--format=%H"),
                self.git("-C", str(work), "log", "--format=%H"),
            )
            self.assertEqual(self.git("-C", str(copy), "status", "--porcelain"), "")
            self.git("-C", str(copy), "fsck", "--strict")

    def test_clone_of_loose_objects(self) -> None:
        self.clone(packed=False)

    def test_clone_of_a_pack(self) -> None:
        self.clone(packed=True)
