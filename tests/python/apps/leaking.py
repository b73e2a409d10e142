"""The applications of turning.py, a hundred bytes of each request kept: what the soak has to notice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import turning

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

kept: list[bytes] = []


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Keeps 100 bytes of content, then answers."""
    kept.append(bytes(100 - b"".__sizeof__()))
    return turning.app(environ, start_response)
