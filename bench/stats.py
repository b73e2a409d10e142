"""Medians over rounds, and comparisons made round by round. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Optional

#: One measurement of one server in one round: figure's name → value. None: it failed or the server is absent.
Sample = Optional[dict[str, float]]


@dataclass(frozen=True)
class Figure:
    """A median with the least and the most of its rounds."""

    median: float
    least: float
    most: float


def figure(values: Sequence[float]) -> Figure | None:
    """Sums values up; None if there are none."""
    return Figure(statistics.median(values), min(values), max(values)) if values else None


def figure_of(samples: Sequence[Sample], key: str) -> Figure | None:
    """One figure over a server's rounds; rounds that lack it are left out."""
    return figure([sample[key] for sample in samples if sample is not None and key in sample])


def by_round(
    ours: Sequence[Sample], theirs: Sequence[Sample], key: str, combine: Callable[[float, float], float]
) -> Figure | None:
    """Combines what two servers did in the same round, then takes the median: slow noise cancels out."""
    pairs = zip(ours, theirs)
    return figure(
        [
            combine(a[key], b[key])
            for a, b in pairs
            if a is not None and b is not None and key in a and key in b
        ]
    )


def ratio(ours: float, theirs: float) -> float:
    """ours / theirs; a peer too cheap to be seen is infinitely far ahead."""
    return ours / theirs if theirs > 0 else math.inf


def difference(ours: float, theirs: float) -> float:
    """ours - theirs."""
    return ours - theirs


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the least value with at least `share` (0 to 1) of all at or below it."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
