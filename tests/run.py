#!/usr/bin/env python3
"""Runs the suites beside this file, or those named, against the binary in `SALVER`.

    SALVER=target/debug/salver python3 tests/run.py [SUITE ...]

Two run side by side, since they wait most of their time; `TEST_JOBS` is another number. What a suite printed comes when
it has ended, with unittest's summary; the exit code is 1 if one failed or could not run.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
#: In the order in which they begin. Those that host applications are the last, since what they need is built beside the others, and
#: of these the longest is the first.
SUITES = (
    "http2",
    "tls",
    "browser",
    "faults",
    "install",
    "cgi_programs",
    "clients",
    "cpython",
    "differential",
    "python",
    "operate",
    "asgi",
)
HOSTING = ("python", "operate", "asgi")
JOBS = max(int(os.environ.get("TEST_JOBS", "2")), 1)
WHEELS = REPOSITORY / "build" / "wheels"

printing = threading.Lock()


def main() -> int:
    """Run the suites; the exit code."""
    unknown = [name for name in sys.argv[1:] if name not in SUITES]
    if unknown:
        print(f"tests: error: no suite {unknown[0]!r}; there are {', '.join(SUITES)}", file=sys.stderr)
        return 2
    chosen = [name for name in SUITES if name in (sys.argv[1:] or SUITES)]
    command = shlex.split(os.environ.get("SALVER", "target/debug/salver"))
    if os.path.dirname(command[0]):
        command[0] = os.path.abspath(command[0])
    plain = {**os.environ, "SALVER": shlex.join(command)}
    hosting = {"TEST_WHEELS": str(WHEELS), **plain}
    started: dict[str, Future[bool]] = {}
    with ThreadPoolExecutor(JOBS) as lanes:
        if not set(HOSTING).isdisjoint(chosen):
            started["environments"] = lanes.submit(run, "python.environments", plain)
        for name in chosen:
            if name in HOSTING:
                started[name] = lanes.submit(run, name, hosting, started["environments"])
            else:
                started[name] = lanes.submit(run, name, plain)
    failed = [name for name, passed in started.items() if not passed.result()]
    print(f"suites that failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def run(name: str, environment: Mapping[str, str], after: Future[bool] | None = None) -> bool:
    """Run one suite, behind what it needs; whether it passed."""
    if after is not None and not after.result():
        return False
    start = time.monotonic()
    command = [sys.executable, "-m", f"tests.{name}"]
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(
            command, cwd=REPOSITORY, env=environment, stdout=said, stderr=subprocess.STDOUT, check=False
        )
        said.seek(0)
        with printing:
            print(f"== {name}", flush=True)
            sys.stdout.buffer.write(said.read())
            print(f"== {name}: {time.monotonic() - start:.0f} s, exit {done.returncode}", flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
