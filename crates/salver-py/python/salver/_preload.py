"""`--preload`: applications are imported once, and workers are copies of the process that did."""

from __future__ import annotations

import gc
import os
import time


def fork() -> int:
    """Make a copy of this process, and return its number; 0 in the copy.

    The copy is no child of ours but an orphan, which our supervisor adopts.
    """
    if not gc.get_freeze_count():
        # What is there now stays: a collection in a copy would touch, and so duplicate, every page of it.
        gc.collect()
        gc.freeze()
    reading, writing = os.pipe()
    between = os.fork()
    if between == 0:
        _orphan(reading, writing)
        return 0
    os.close(writing)
    with os.fdopen(reading) as told:
        text = told.read()
    os.waitpid(between, 0)
    if not text:
        raise OSError("a worker could not be forked; look at `ulimit -u`")
    return int(text)


def _orphan(reading: int, writing: int) -> None:
    """Return in a child of this process, which ends."""
    between = os.getpid()
    try:
        child = os.fork()
        if child:
            os.write(writing, str(child).encode())
            os._exit(0)
    except BaseException:
        os._exit(1)
    os.close(reading)
    os.close(writing)
    while os.getppid() == between:
        time.sleep(0.0005)
