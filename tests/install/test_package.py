"""What a crate publishes is its source, its examples and what one reads first: `cargo package --list`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import unittest

from tests.support import REPOSITORY

CARGO = os.environ.get("CARGO", "cargo")
BELONGS = re.compile(
    r"(src|examples)/[a-z0-9_/]+\.(rs|css|js)|README\.md|LICENSE-(MIT|APACHE)"
    r"|Cargo\.(toml|toml\.orig|lock)|\.cargo_vcs_info\.json"
)
NEEDED = {"Cargo.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE", "src/lib.rs"}


class Package(unittest.TestCase):
    """Each crate of the workspace that may be published."""

    def cargo(self, *arguments: str) -> str:
        """What cargo prints."""
        command = [CARGO, *arguments]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_what_is_published(self) -> None:
        metadata = json.loads(self.cargo("metadata", "--no-deps", "--format-version=1", "--locked"))
        crates = [crate for crate in metadata["packages"] if crate["publish"] != []]
        self.assertIn("salver", [crate["name"] for crate in crates])
        for crate in crates:
            name = crate["name"]
            files = self.cargo("package", "--list", "--allow-dirty", "--locked", "-p", name).splitlines()
            self.assertEqual([file for file in files if not BELONGS.fullmatch(file)], [], name)
            self.assertLessEqual(NEEDED, set(files), name)
            for field in ("description", "license", "documentation"):
                self.assertTrue(crate[field], f"{name}: {field}")
