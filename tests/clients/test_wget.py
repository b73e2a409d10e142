"""`wget -r` follows the listings and brings the tree as it is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support import Case, Folder, require

NAMES = (
    "plain.txt",
    "with space.txt",
    "100%.txt",
    "hash#.txt",
    "query?.txt",
    "é.txt",
    "a&b.txt",
    "<tag>.txt",
    "q'\".txt",
)


def files(root: Path) -> dict[str, bytes]:
    """Every file below `root` and its content."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


class Wget(Case):
    """The copy is compared byte for byte."""

    def test_recursive_copy(self) -> None:
        for folder in (".", "one", "one/two", "dir with space", "dír"):
            for number, name in enumerate(NAMES):
                self.folder.write(f"{folder}/{name}", f"{folder} {name}\n" * (number * 500))
        with Folder() as copy:
            command = [
                require("wget"),
                "-r",
                "-l",
                "inf",
                "-np",
                "-nH",
                "-nv",
                "-e",
                "robots=off",
                "--tries=1",
            ]
            command += [
                "--restrict-file-names=nocontrol",
                "-R",
                "index.html*",
                "-P",
                str(copy.path),
                self.serve().url,
            ]
            locale = {**os.environ, "LC_ALL": "C.UTF-8"}
            done = subprocess.run(command, env=locale, capture_output=True, check=False, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(files(copy.path), files(self.folder.path))
