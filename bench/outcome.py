"""What a load generator saw."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """Answers, and how they came."""

    requests: int
    seconds: float
    p99_ms: float
    socket_errors: int
