"""Packages of PyPI that a suite needs: fetched once into a folder of `build/`, and the suite run where they are."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.alone import BUILD
from tests.support import fail


def within(suite: str, *packages: str) -> None:
    """Go on in an environment that has `packages`; the program is begun anew there the first time."""
    folder = BUILD / f"python-{suite}"
    python = folder / "bin" / "python"
    if sys.prefix == str(folder):
        return
    mark = folder / "packages"
    if not mark.exists() or mark.read_text() != "\n".join(packages):
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*install, *packages], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            fail(f"{', '.join(packages)} cannot be installed into {folder}: {error}")
        mark.write_text("\n".join(packages))
    os.execv(str(python), [str(python), "-m", f"tests.{suite}", *sys.argv[1:]])
