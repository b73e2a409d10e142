"""What a run found: tables as text and Markdown, and everything, round by round, as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.cases import Case, How, Target
from bench.stats import Figure, Sample, by_round, difference, figure_of, ratio
from bench.works import WORKS, Column, Work

#: Other work on the machine, in percent of a core, from which on figures are not to be believed.
BUSY_PERCENT = 10


@dataclass(frozen=True)
class Row:
    """A case with what was measured: a sample a round for each server, and why a server has none."""

    case: Case
    samples: Mapping[str, Sequence[Sample]]
    remarks: Mapping[str, str]


@dataclass(frozen=True)
class Run:
    """A whole run."""

    name: str
    facts: Mapping[str, str]
    versions: Mapping[str, str]
    rows: Sequence[Row]


@dataclass(frozen=True)
class Table:
    """Cells, to be shown as text or as Markdown."""

    title: str
    headings: Sequence[str]
    lines: Sequence[Sequence[str]]


def tables(run: Run) -> list[Table]:
    """The comparisons first, then a table of figures for each kind of work."""
    rows = {work.title: [row for row in run.rows if row.case.work is work] for work in WORKS}
    figures = [_figures(work, rows[work.title]) for work in WORKS if rows[work.title]]
    return [_comparisons(run.rows), *figures]


def as_text(run: Run) -> str:
    """For the terminal."""
    return "\n".join([*(_text(table) for table in tables(run)), *_remarks(run)])


def as_markdown(run: Run) -> str:
    """For reading in the repository; the plot lies beside it."""
    facts = [f"- {name}: {value}" for name, value in run.facts.items()]
    programs = [f"- {name}: {line}" for name, line in run.versions.items()]
    parts = [
        f"# Benchmark run: {run.name}",
        "Made by `python -m bench`; [the method and how to read it](../README.md).",
        f"![CPU per request and memory, by server]({run.name}.svg)",
        *(_markdown(table) for table in tables(run)),
        "## Where it ran",
        "\n".join(facts),
        "## Versions",
        "\n".join(programs),
        *(["## Remarks", "\n".join(f"- {remark}" for remark in _remarks(run))] if _remarks(run) else []),
    ]
    return "\n\n".join(parts) + "\n"


def as_json(run: Run) -> dict[str, object]:
    """Everything that was measured, and what was made of it."""
    return {
        "name": run.name,
        "facts": dict(run.facts),
        "versions": dict(run.versions),
        "rows": [
            {
                "name": row.case.name,
                "title": row.case.title,
                "work": row.case.work.title,
                "rounds": {server: list(samples) for server, samples in row.samples.items()},
                "absent or failed": dict(row.remarks),
                "comparisons": [_comparison_as_json(row, target) for target in row.case.targets],
            }
            for row in run.rows
        ],
        "remarks": _remarks(run),
    }


def compare(row: Row, target: Target) -> Figure | None:
    """A target's figure; None where a server is absent or failed."""
    key = _column(row, target).key
    ours = row.samples.get(target.of, ())
    if target.how is How.ITSELF:
        return figure_of(ours, key)
    combine = ratio if target.how is How.RATIO else difference
    return by_round(ours, row.samples.get(target.to, ()), key, combine)


def verdict(found: Figure | None, target: Target) -> str:
    """Whether a target is met."""
    if found is None:
        return "absent"
    if target.at_most is None:
        return ""
    return "met" if found.median <= target.at_most else "MISSED"


def shown(value: float, decimals: int) -> str:
    """A number for people: thousands separated, and no decimals where there are thousands."""
    return f"{value:,.{0 if abs(value) >= 1000 else decimals}f}"


def _comparisons(rows: Sequence[Row]) -> Table:
    lines = []
    for row in rows:
        for target in row.case.targets:
            if not {target.of, target.to} - {""} <= set(row.samples):
                continue  # a peer that was left out on purpose
            found = compare(row, target)
            at_most = "" if target.at_most is None else f"{target.at_most:,g}"
            lines.append(
                (row.case.title, _label(row, target), _with_range(found, 3), at_most, verdict(found, target))
            )
    return Table("Comparisons", ("work", "what", "median (range)", "at most", ""), lines)


def _figures(work: Work, rows: Sequence[Row]) -> Table:
    lines = []
    for row in rows:
        for server, samples in row.samples.items():
            first, *others = (_cell(samples, column) for column in work.columns)
            found = figure_of(samples, work.columns[0].key)
            first = (
                _with_range(found, work.columns[0].decimals) if found else ("failed" if samples else "absent")
            )
            lines.append((row.case.title, server, first, *others))
    return Table(work.title, ("work", "server", *(column.heading for column in work.columns)), lines)


def _cell(samples: Sequence[Sample], column: Column) -> str:
    found = figure_of(samples, column.key)
    return shown(found.median, column.decimals) if found else "–"


def _with_range(found: Figure | None, decimals: int) -> str:
    if found is None:
        return "–"
    return (
        f"{shown(found.median, decimals)} ({shown(found.least, decimals)} to {shown(found.most, decimals)})"
    )


def _column(row: Row, target: Target) -> Column:
    columns = row.case.work.columns
    return next((column for column in columns if column.key == target.key), columns[0])


def _label(row: Row, target: Target) -> str:
    if target.how is How.ITSELF:
        return f"{target.of}: {_column(row, target).heading}"
    return f"{target.of} {target.how.value} {target.to}"


def _comparison_as_json(row: Row, target: Target) -> dict[str, object]:
    found = compare(row, target)
    return {
        "what": _label(row, target),
        "median": found.median if found else None,
        "least": found.least if found else None,
        "most": found.most if found else None,
        "at most": target.at_most,
        "verdict": verdict(found, target),
    }


def _remarks(run: Run) -> list[str]:
    said = dict.fromkeys(text for row in run.rows for text in row.remarks.values())
    return [*_noise(run), *_socket_errors(run), *said]


def _noise(run: Run) -> Iterator[str]:
    """Says how much else went on, so that nobody believes the figures of a busy machine."""
    others = [sample["others_percent"] for sample in _samples(run) if "others_percent" in sample]
    if others:
        usual, most = statistics.median(others), max(others)
        judged = "; NOISY: absolute figures mean little" if usual > BUSY_PERCENT else ""
        yield f"other work on the machine took {usual:.0f} % of a core (median; at most {most:.0f} %){judged}"


def _socket_errors(run: Run) -> Iterator[str]:
    for row in run.rows:
        for server, samples in row.samples.items():
            errors = sum(sample.get("socket_errors", 0) for sample in samples if sample)
            if errors:
                yield f"{row.case.name}: {server} had {errors:.0f} socket errors or timeouts in all rounds"


def _samples(run: Run) -> Iterator[dict[str, float]]:
    for row in run.rows:
        for samples in row.samples.values():
            yield from (sample for sample in samples if sample is not None)


def _text(table: Table) -> str:
    widths = [max(map(len, column)) for column in zip(table.headings, *table.lines)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths))
        for line in (table.headings, *table.lines)
    ]
    return "\n".join((f"\n{table.title}", *(line.rstrip() for line in lines)))


def _markdown(table: Table) -> str:
    lines = (table.headings, ["---"] * len(table.headings), *table.lines)
    return "\n".join((f"## {table.title}\n", *("| " + " | ".join(line) + " |" for line in lines)))
