"""`pip install --find-links` from a listing."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.support import Case, Folder, fail

NAME = "salver_parrot"


def write_wheel(folder: Path, version: str) -> None:
    """A wheel with one module that knows its version."""
    info = f"{NAME}-{version}.dist-info"
    contents = {
        f"{NAME}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: salver\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    with zipfile.ZipFile(folder / f"{NAME}-{version}-py3-none-any.whl", "w") as wheel:
        for name, content in contents.items():
            wheel.writestr(name, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
            record += f"{name},sha256={digest},{len(content)}\n"
        wheel.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")


class Pip(Case):
    """pip reads the links of the listing and takes the newest."""

    def test_find_links(self) -> None:
        if importlib.util.find_spec("pip") is None:
            fail(f"{sys.executable} has no pip: python3 -m ensurepip, or apt-get install python3-pip")
        for version in ("1.0", "1.10", "1.9"):
            write_wheel(self.folder.path, version)
        with Folder() as target:
            command = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-index",
                "--no-cache-dir",
                "--isolated",
            ]
            command += [
                "--disable-pip-version-check",
                "--root-user-action=ignore",
                "--target",
                str(target.path),
            ]
            command += ["--find-links", f"{self.serve().url}/", NAME]
            done = subprocess.run(
                command, capture_output=True, text=True, env={**os.environ, "NO_PROXY": "*"}, check=False
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual((target.path / f"{NAME}.py").read_text(), "VERSION = '1.10'\n")
