"""A clock that is moved for one server alone, by libfaketime."""

from __future__ import annotations

from pathlib import Path

from tests.support import require


def moved_clock(setting: Path) -> dict[str, str]:
    """The environment of a server whose wall clock is moved by what stands in the file `setting` (`+1d`); monotonic time goes on."""
    require("faketime")
    return {
        "LD_PRELOAD": str(next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))),
        "FAKETIME_TIMESTAMP_FILE": str(setting),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
    }
