"""What only one of the suites that run side by side may do at a time: what installs or builds something for all of them."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUILD = Path(__file__).resolve().parent.parent / "build"


@contextmanager
def alone(what: str) -> Iterator[None]:
    """Waits until nobody else in this repository does `what`."""
    BUILD.mkdir(exist_ok=True)
    with open(BUILD / f"{what}.lock", "w") as lock:
        # The kernel lets go of it when the file is closed, whatever becomes of us.
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
