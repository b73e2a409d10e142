"""`--log-config`: Python's logging, configured from a file before an application is imported."""

from __future__ import annotations

import functools
import io
import json
import logging.config
import sys
from pathlib import Path
from typing import Any

from salver._load import LoadError


@functools.cache  # once a process, however many applications it serves
def configure(path: str) -> None:
    """Configure logging as the file says: `dictConfig` for JSON and TOML, `fileConfig` for any other."""
    try:
        kind = Path(path).suffix.lower()
        if kind in (".json", ".toml"):
            logging.config.dictConfig(_table(Path(path), kind))
        else:
            lines = io.StringIO(Path(path).read_text(encoding="utf-8"))
            known = {"here": str(Path(path).parent.absolute()), "__file__": path}
            logging.config.fileConfig(lines, defaults=known, disable_existing_loggers=False)
    except Exception as error:
        # logging says what is wrong with a part of it by the error behind the error.
        causes = [str(fault) for fault in (error, error.__cause__) if fault is not None]
        reason = ": ".join(causes) or type(error).__name__
        if isinstance(error, OSError):
            reason = error.strerror or reason
        elif isinstance(error, KeyError):
            reason = f"no {error}"
        why = " ".join(reason.split())
        raise LoadError(f"--log-config {path}: {why}; write it as logging.config has it") from None


def _table(path: Path, kind: str) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    if kind == ".json":
        table = json.loads(text)
    elif sys.version_info >= (3, 11):
        import tomllib

        table = tomllib.loads(text)
    else:
        raise ValueError("TOML is read by Python 3.11 and later")
    if not isinstance(table, dict):
        raise ValueError("no table")
    return {"version": 1, "disable_existing_loggers": False, **table}
