"""`make install` into a folder of its own: what it puts there works, and `make uninstall` takes all of it away."""

from __future__ import annotations

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from tests.support import REPOSITORY

FILES = {
    "bin/salver",
    "share/man/man1/salver.1",
    "share/bash-completion/completions/salver",
    "share/zsh/site-functions/_salver",
    "share/fish/vendor_completions.d/salver.fish",
    "share/licenses/salver/LICENSE-MIT",
    "share/licenses/salver/LICENSE-APACHE",
}


class Install(unittest.TestCase):
    """As whoever makes a package would run it."""

    def make(self, target: str, destination: str) -> None:
        """Run a target of the Makefile."""
        command = ["make", "--silent", target, f"DESTDIR={destination}", "PREFIX=/usr"]
        # A make around this one would pass on its own variables.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
        done = subprocess.run(
            command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_install_and_uninstall(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.make("install", folder)
            prefix = Path(folder) / "usr"
            files = {str(file.relative_to(prefix)) for file in prefix.rglob("*") if file.is_file()}
            self.assertEqual(files, FILES)
            self.assertEqual([entry.name for entry in Path(folder).iterdir()], ["usr"])
            program = prefix / "bin/salver"
            said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
            self.assertRegex(said, r"^salver \d+\.\d+\.\d+\n$")
            for name in FILES - {"bin/salver"}:
                self.assertFalse(os.access(prefix / name, os.X_OK), name)
            completions = "source $1; COMP_WORDS=(salver --direc); COMP_CWORD=1; _salver salver --direc salver; echo ${COMPREPLY[@]}"
            script = prefix / "share/bash-completion/completions/salver"
            done = subprocess.run(
                ["bash", "-c", completions, "bash", script], capture_output=True, text=True, check=True
            )
            self.assertEqual(done.stdout, "--directory\n", done.stderr)
            self.assertIn("--directory", (prefix / "share/man/man1/salver.1").read_text().replace("\\-", "-"))
            self.make("uninstall", folder)
            self.assertEqual([file for file in prefix.rglob("*") if file.is_file()], [])
