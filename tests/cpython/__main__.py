"""Runs the adapted tests with every CPython at hand that ships its test suite."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support import REPOSITORY, USER, fail, salver_command

OLDEST = (3, 9)
PROBE = "import sys, test.test_httpservers; print('%d.%d' % sys.version_info[:2], sys.executable)"


def interpreters() -> dict[tuple[int, ...], str]:
    """The first interpreter of each version that has the tests: this one, those on PATH, then pyenv's."""
    names = [sys.executable, "/usr/bin/python3"]
    names += [path for minor in range(OLDEST[1], 20) if (path := shutil.which(f"python3.{minor}"))]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    names += sorted(map(str, pyenv.glob("versions/*/bin/python3")))
    found: dict[tuple[int, ...], str] = {}
    for name in names:
        try:
            done = subprocess.run([name, "-c", PROBE], capture_output=True, text=True, check=False)
        except OSError:
            continue
        if done.returncode == 0:
            version, _, path = done.stdout.strip().partition(" ")
            key = tuple(map(int, version.split(".")))
            if key >= OLDEST:
                found.setdefault(key, path)
    return found


def main() -> int:
    """One run an interpreter; the exit code."""
    found = interpreters()
    if not found and USER.root and shutil.which("apt-get"):
        for arguments in (["update"], ["install", "-y", "libpython3-testsuite"]):
            subprocess.run(["apt-get", "-q", *arguments], stdout=subprocess.DEVNULL, check=False)
        found = interpreters()
    if not found:
        fail("no python3 here ships its own tests: apt-get install libpython3-testsuite")
    environment = {**os.environ, "SALVER": shlex.join(salver_command())}
    failed = []
    for version, path in sorted(found.items()):
        print(f"-- test_httpservers of Python {'.'.join(map(str, version))}", flush=True)
        command = [path, "-c", "from tests.cpython import adapted; adapted.main()", *sys.argv[1:]]
        if subprocess.run(command, cwd=REPOSITORY, env=environment, check=False).returncode != 0:
            failed.append(path)
    for path in failed:
        print(f"tests: error: the tests of {path} failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
