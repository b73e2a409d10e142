"""The CPythons at hand, one of each version from 3.9 on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 9)
# By its real path: whichever environment a suite runs in, it is to find the same.
PROBE = (
    "import os, sys, {module}; "
    "sys.implementation.name == 'cpython' or sys.exit(1); "
    "print('%d.%d' % sys.version_info[:2], os.path.realpath(sys.executable))"
)


def interpreters(module: str) -> dict[tuple[int, ...], str]:
    """The first interpreter of each version that has `module`: this one, those on PATH, then pyenv's."""
    names = [sys.executable, "/usr/bin/python3"]
    names += [path for minor in range(OLDEST[1], 20) if (path := shutil.which(f"python3.{minor}"))]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    names += sorted(map(str, pyenv.glob("versions/*/bin/python3")))
    found: dict[tuple[int, ...], str] = {}
    for name in names:
        try:
            done = subprocess.run(
                [name, "-c", PROBE.format(module=module)], capture_output=True, text=True, check=False
            )
        except OSError:
            continue
        if done.returncode == 0:
            version, _, path = done.stdout.strip().partition(" ")
            key = tuple(map(int, version.split(".")))
            if key >= OLDEST:
                found.setdefault(key, path)
    return dict(sorted(found.items()))
