"""The plot of a run: a panel of bars for each row, drawn as SVG by hand, for light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from bench.report import Row, Run, shown
from bench.stats import Figure, figure_of

WIDTH, MARGIN, GAP = 960, 24, 32
PANEL = (WIDTH - 2 * MARGIN - GAP) / 2
LABELS, VALUES = 112, 76  #: room left and right of the bars
BAR, STEP, HEAD, FOOT = 14, 22, 44, 40
#: A bar more than this many times the smallest is cut: http.server would flatten all others.
CUT = 6

STYLE = """
  svg { --page: #ffffff; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --ours: #0969da; --peer: #8c959f }
  @media (prefers-color-scheme: dark) {
    svg { --page: #0d1117; --ink: #f0f6fc; --soft: #9198a1;
      --line: #3d444d; --ours: #58a6ff; --peer: #6e7681 }
  }
  text { font: 12px system-ui, sans-serif; fill: var(--ink) }
  .title { font-size: 18px; font-weight: 600 } .panel { font-weight: 600 }
  .soft { fill: var(--soft); font-size: 11px }
  .page { fill: var(--page) } .grid { stroke: var(--line) }
  .ours { fill: var(--ours) } .peer { fill: var(--peer) }
  .range { stroke: var(--ink); stroke-width: 1.5 } .cut { stroke: var(--page); stroke-width: 3 }
"""


@dataclass(frozen=True)
class Bar:
    """A server's median in one row, with its range."""

    server: str
    found: Figure


def draw(run: Run) -> str:
    """The whole picture: two columns of panels, one for each row that has figures."""
    panels = [(row, bars) for row in run.rows if (bars := _bars(row))]
    parts, bottom = [], 76.0
    for pair in (panels[start : start + 2] for start in range(0, len(panels), 2)):
        for column, (row, bars) in enumerate(pair):
            parts += _panel(row, bars, MARGIN + column * (PANEL + GAP), bottom)
        bottom += HEAD + FOOT + STEP * max(len(bars) for _, bars in pair)
    heading = f"salver and its peers: {run.name}"
    facts = f"{run.facts.get('date', '')} · {run.facts.get('cpu', '')}"
    about = f"{facts} · less is better · bars: medians, whiskers: least to most, // : cut short"
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom:.0f}" role="img">',
            f"<title>{escape(heading)}</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="page" width="{WIDTH}" height="{bottom:.0f}"/>',
            f'<text class="title" x="{MARGIN}" y="34">{escape(heading)}</text>',
            f'<text class="soft" x="{MARGIN}" y="54">{escape(about)}</text>',
            *parts,
            "</svg>\n",
        )
    )


def limit(values: Sequence[float]) -> float:
    """Where the axis ends: at the largest value that need not be cut."""
    return max(value for value in values if value <= CUT * min(values))


def ticks(end: float) -> list[float]:
    """Round numbers from 0 to `end`, three to six of them."""
    rough = end / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((factor * power for factor in (1, 2, 2.5, 5, 10)), key=lambda width: abs(width - rough))
    return [step * count for count in range(int(end / step + 1e-9) + 1)]


def _bars(row: Row) -> list[Bar]:
    key = row.case.work.columns[0].key
    found = [(server, figure_of(samples, key)) for server, samples in row.samples.items()]
    return [Bar(server, figure) for server, figure in found if figure is not None and figure.median > 0]


def _panel(row: Row, bars: Sequence[Bar], left: float, top: float) -> list[str]:
    column = row.case.work.columns[0]
    end = limit([bar.found.median for bar in bars])
    start, room = left + LABELS, PANEL - LABELS - VALUES
    base = top + HEAD - 10 + STEP * len(bars)
    parts = [f'<text class="panel" x="{left:.0f}" y="{top + 16:.0f}">{escape(row.case.title)}</text>']
    for tick in ticks(end):
        x = start + room * tick / end
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top + HEAD - 16:.0f}" y2="{base:.0f}"/>'
        )
        parts.append(
            f'<text class="soft" text-anchor="middle" x="{x:.1f}" y="{base + 13:.0f}">{tick:,g}</text>'
        )
    for number, bar in enumerate(bars):
        parts += _bar(bar, column.decimals, start, room / end, end, top + HEAD - 10 + STEP * number)
    middle = start + room / 2
    parts.append(
        f'<text class="soft" text-anchor="middle" x="{middle:.0f}" y="{base + 27:.0f}">'
        f"{escape(column.heading)}</text>"
    )
    return parts


def _bar(bar: Bar, decimals: int, start: float, scale: float, end: float, top: float) -> list[str]:
    value, middle = bar.found.median, top + BAR / 2
    width = min(value, end) * scale
    kind = "ours" if bar.server.startswith("salver") else "peer"
    parts = [
        f'<text text-anchor="end" x="{start - 8:.0f}" y="{middle + 4:.1f}">{escape(bar.server)}</text>',
        f'<rect class="{kind}" x="{start:.1f}" y="{top:.1f}" width="{width:.1f}" height="{BAR}" rx="2"/>',
    ]
    reach = start + width
    if value > end:
        for cut in (reach - 26, reach - 18):
            parts.append(
                f'<line class="cut" x1="{cut:.1f}" x2="{cut + 6:.1f}" '
                f'y1="{top + BAR + 1:.1f}" y2="{top - 1:.1f}"/>'
            )
    else:
        least, most = (start + min(edge, end * 1.1) * scale for edge in (bar.found.least, bar.found.most))
        parts.append(
            f'<line class="range" x1="{least:.1f}" x2="{most:.1f}" y1="{middle:.1f}" y2="{middle:.1f}"/>'
        )
        reach = max(reach, most)
    parts.append(f'<text x="{reach + 6:.1f}" y="{middle + 4:.1f}">{shown(value, decimals)}</text>')
    return parts
