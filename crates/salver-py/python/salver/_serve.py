"""`salver.serve`: the command in a program's own process, with its options as keywords."""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
from typing import Any

from salver import _given, _salver

_numbers = itertools.count(1)


def serve(app: Any, **options: Any) -> None:
    """Serve `app` until the server is stopped.

    `app` is an application (WSGI, ASGI, a handler class) or what the command takes for a TARGET: a folder,
    `"module:name"`. The keywords are the command's options by their long names, `_` for `-`: `threads=4`,
    `header=[("X-A", "1"), ("X-B", "2")]`, `mount={"/static": "./static"}`. The same parser reads them, so the
    environment (`SALVER_…`) and a file named by `SALVER_CONFIG` count where no keyword is given.

    Everything runs in this process: options about worker processes do nothing. In the main thread signals are
    obeyed as the command does (SIGTERM ends running requests first); elsewhere they stay the program's own.

    Raises `TypeError` for a keyword that is no option, and `SystemExit` with the command's exit code, once it
    has printed why, for what cannot start.
    """
    given = {"target": app, **{name: value for name, value in options.items() if value is not None}}
    table = "\n".join(f"{_toml(name)} = {_toml(value)}" for name, value in given.items())
    is_main = threading.current_thread() is threading.main_thread()
    try:
        code = _salver.serve(table, is_main)
        _let_signals_in()
    except KeyboardInterrupt:
        code = 0  # Ctrl-C, which has been obeyed and told
    if code:
        sys.exit(code)


def _toml(value: Any) -> str:
    """A value as TOML has it; what is no value is an application."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (str, os.PathLike)):
        return json.dumps(os.fsdecode(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(name)} = {_toml(item)}" for name, item in value.items()) + "}"
    name = f"app{next(_numbers)}"
    setattr(_given, name, value)
    return _toml(f"{_given.__name__}:{name}")


def _let_signals_in() -> None:
    """A call, at which the interpreter looks for signals."""
