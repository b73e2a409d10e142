"""Runs the adapted tests with every CPython at hand that ships its test suite."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys

from tests.interpreters import interpreters
from tests.support import REPOSITORY, USER, fail, salver_command

MODULE = "test.test_httpservers"


def main() -> int:
    """One run an interpreter; the exit code."""
    found = interpreters(MODULE)
    if not found and USER.root and shutil.which("apt-get"):
        for arguments in (["update"], ["install", "-y", "libpython3-testsuite"]):
            subprocess.run(["apt-get", "-q", *arguments], stdout=subprocess.DEVNULL, check=False)
        found = interpreters(MODULE)
    if not found:
        fail("no python3 here ships its own tests: apt-get install libpython3-testsuite")
    environment = {**os.environ, "SALVER": shlex.join(salver_command())}
    failed = []
    for version, path in found.items():
        print(f"-- test_httpservers of Python {'.'.join(map(str, version))}", flush=True)
        command = [path, "-c", "from tests.cpython import adapted; adapted.main()", *sys.argv[1:]]
        if subprocess.run(command, cwd=REPOSITORY, env=environment, check=False).returncode != 0:
            failed.append(path)
    for path in failed:
        print(f"tests: error: the tests of {path} failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
