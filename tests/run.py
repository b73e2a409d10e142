#!/usr/bin/env python3
"""Runs the suites beside this file, or those named, against the binary in `SALVER`.

    SALVER=target/debug/salver python3 tests/run.py [SUITE ...]

Each suite prints unittest's summary; the exit code is 1 if one failed or could not run.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

SUITES = (
    "cpython",
    "differential",
    "clients",
    "browser",
    "cgi_programs",
    "install",
    "http2",
    "tls",
    "faults",
    "operate",
    "python",
    "asgi",
)


def main() -> int:
    """Run the suites one after the other; the exit code."""
    chosen = sys.argv[1:] or list(SUITES)
    unknown = [name for name in chosen if name not in SUITES]
    if unknown:
        print(f"tests: error: no suite {unknown[0]!r}; there are {', '.join(SUITES)}", file=sys.stderr)
        return 2
    command = shlex.split(os.environ.get("SALVER", "target/debug/salver"))
    if os.path.dirname(command[0]):
        command[0] = os.path.abspath(command[0])
    environment = {**os.environ, "SALVER": shlex.join(command)}
    failed = []
    for name in chosen:
        print(f"== {name}", flush=True)
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", f"tests.{name}"],
            cwd=Path(__file__).resolve().parent.parent,
            env=environment,
            check=False,
        )
        print(f"== {name}: {time.monotonic() - start:.0f} s, exit {done.returncode}", flush=True)
        if done.returncode != 0:
            failed.append(name)
    print(f"suites that failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
