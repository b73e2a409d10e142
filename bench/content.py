"""The folder that every server serves; made once below build/bench."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

SMALL = "/hello.txt"
SMALL_BODY = b"Hello, world!"
MEDIUM, MEDIUM_LENGTH = "/16k.bin", 16 << 10
LARGE, LARGE_LENGTH = "/1m.bin", 1 << 20
HUGE, HUGE_LENGTH = "/100m.bin", 100 << 20
FOLDER, ENTRIES = "/entries/", 1_000
SCRIPT, SCRIPT_BODY = "/cgi-bin/hello", b"hello\n"
SCRIPT_SOURCE = Path(__file__).with_name("floor") / "hello_cgi.c"
LAST_ENTRY = f"entry-{ENTRIES - 1:04}.txt"


def make(root: Path) -> None:
    """Fills `root` with what is missing; random bytes, so that nothing can be gained by compression."""
    entries = root / FOLDER.strip("/")
    entries.mkdir(parents=True, exist_ok=True)
    _write(root / SMALL.strip("/"), SMALL_BODY)
    for name, length in ((MEDIUM, MEDIUM_LENGTH), (LARGE, LARGE_LENGTH), (HUGE, HUGE_LENGTH)):
        path = root / name.strip("/")
        if not path.exists() or path.stat().st_size != length:
            _write(path, os.urandom(length))
    _build(root / SCRIPT.strip("/"))
    for number in range(ENTRIES):
        _write(entries / f"entry-{number:04}.txt", b"%d\n" % number)


def _build(script: Path) -> None:
    """The script; without a compiler its row says so, since nobody answers there."""
    if not script.exists() or script.stat().st_mtime < SCRIPT_SOURCE.stat().st_mtime:
        script.parent.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            subprocess.run(["cc", "-O2", "-o", str(script), str(SCRIPT_SOURCE)], check=False)


def _write(path: Path, content: bytes) -> None:
    """Leaves a file alone that is right already: its time, hence its validators, stay."""
    if not path.exists() or path.read_bytes() != content:
        path.write_bytes(content)
