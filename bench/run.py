"""A run: which rows and servers, how often, and where the results go."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import content, plot, report, tools
from bench.cases import CASES, QUICK, Case
from bench.client import Failed
from bench.hosts import CONTESTANTS
from bench.report import Row, Run
from bench.running import Surroundings, raise_open_files
from bench.servers import Server
from bench.stats import Sample
from bench.works import whole_answer

REPOSITORY = Path(__file__).resolve().parent.parent
#: Programs that are salver.
OURS = ("salver", "py:salver")
LOAD_PROGRAMS = ("wrk", "h2load", "openssl", "taskset")
#: What the floor repeats if there is no salver to learn from: an answer of the same length.
PLAIN_ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: salver\r\nDate: Mon, 23 Nov 2026 06:27:00 GMT\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b'Content-Length: 13\r\nLast-Modified: Mon, 23 Nov 2026 06:27:00 GMT\r\nETag: "0123456789abcdef"\r\n'
    b"Accept-Ranges: bytes\r\n\r\nHello, world!"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes. 0: all was measured; 1: something failed or nothing could be run."""
    options = _parse(arguments)
    cases = [case for case in CASES if not options.only or case.name in options.only]
    if options.list:
        _list(cases)
        return 0
    for number in (signal.SIGINT, signal.SIGTERM):  # leave by an exception: servers are ended on its way
        signal.signal(number, lambda got, _: sys.exit(128 + got))
    raise_open_files()
    server_core, load_core = tools.choose_cores()
    build = REPOSITORY / "build" / "bench"
    content.make(build / "www")
    servers = _servers(cases, options)
    found = _programs(servers, options, build)
    around = Surroundings(found.paths, build, server_core, options.seconds)
    facts = {
        **tools.machine(server_core, load_core),
        "rounds": f"{options.rounds}, each of {options.seconds} s of load",
    }
    os.sched_setaffinity(0, {load_core})  # servers are sent to theirs by taskset
    _teach_floor(servers, around)
    rows = [_row(case, servers, found, around, options.rounds) for case in cases]
    _write(Run(options.name, facts, tools.versions(found.paths), rows))
    return 1 if any(None in samples for row in rows for samples in row.samples.values()) else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--list", action="store_true", help="name the rows and their servers, and stop")
    parser.add_argument("--only", type=_names, default=[], metavar="ROW,ROW", help="these rows only")
    parser.add_argument(
        "--peers", type=_names, default=[], metavar="A,B", help="salver beside these servers only"
    )
    parser.add_argument(
        "--rounds", type=_positive, metavar="N", help="rounds of every row (default 3, quick 2)"
    )
    parser.add_argument(
        "--seconds", type=_positive, metavar="S", help="load in each round (default 2, quick 1)"
    )
    parser.add_argument("--quick", action="store_true", help="some rows, under three minutes; writes `quick`")
    parser.add_argument(
        "--salver", type=Path, default=REPOSITORY / "target/release/salver", metavar="PATH", help="the binary"
    )
    parser.add_argument(
        "--name", help="of the results (default: latest, quick, or partial if rows or peers are left out)"
    )
    options = parser.parse_args(arguments)
    _known(parser, "row", options.only, [case.name for case in CASES])
    _known(parser, "server", options.peers, [server.name for server in CONTESTANTS])
    partial = bool(options.only or options.peers)
    if options.quick and not options.only:
        options.only = list(QUICK)
    options.rounds = options.rounds or (2 if options.quick else 3)
    options.seconds = options.seconds or (1 if options.quick else 2)
    options.name = options.name or ("partial" if partial else "quick" if options.quick else "latest")
    return options


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _known(parser: argparse.ArgumentParser, kind: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            parser.error(f"no {kind} is called {name!r}; there are {', '.join(known)}")


def _list(cases: Sequence[Case]) -> None:
    optional = {server.name for server in CONTESTANTS if server.optional}
    for case in cases:
        servers = ", ".join(f"[{name}]" if name in optional else name for name in case.servers)
        print(f"{case.name:8} {case.work.title}: {case.title}\n         {servers}")
    print("[a server] takes part in full runs if it is installed, and where --peers names it")


def _servers(cases: Sequence[Case], options: argparse.Namespace) -> dict[str, Server]:
    """The servers that the rows name, without those that --peers or --quick leaves out."""
    named = {name for case in cases for name in case.servers}
    if options.peers:
        chosen = [server for server in CONTESTANTS if server.name in options.peers or server.program in OURS]
    else:
        chosen = [server for server in CONTESTANTS if not (server.optional and options.quick)]
    return {server.name: server for server in chosen if server.name in named}


def _programs(servers: Mapping[str, Server], options: argparse.Namespace, build: Path) -> tools.Found:
    """Finds what the servers need; one that is only welcome is left out of `wanted`."""
    wanted = {
        server.program for server in servers.values() if not server.optional or server.name in options.peers
    }
    welcome = {server.program for server in servers.values()} - wanted
    found = tools.find((*LOAD_PROGRAMS, *sorted(wanted)), sorted(welcome), options.salver, build)
    for name in LOAD_PROGRAMS:
        if name in found.missing:
            raise SystemExit(f"bench: {found.missing[name]}")
    return found


def _teach_floor(servers: Mapping[str, Server], around: Surroundings) -> None:
    """Has the floor repeat salver's own answer, so that both send the same bytes."""
    answer = PLAIN_ANSWER
    if "floor" in servers and "salver" in around.programs:
        with contextlib.suppress(Failed):  # the rows will say why
            answer = whole_answer(servers["salver"], content.SMALL, around)
    around.answer.write_bytes(answer)


def _row(
    case: Case, servers: Mapping[str, Server], found: tools.Found, around: Surroundings, rounds: int
) -> Row:
    """All rounds of a case: A B C, A B C, and so on."""
    named = [servers[name] for name in case.servers if name in servers]
    shown = [server for server in named if server.program in found.paths or not server.optional]
    present = [server for server in shown if server.program in found.paths]
    samples: dict[str, list[Sample]] = {server.name: [] for server in shown}
    remarks = {server.name: found.missing[server.program] for server in shown if server not in present}
    for number in range(1, rounds + 1):
        for server in present:
            print(f"bench: {case.name}, round {number} of {rounds}: {server.name}", file=sys.stderr)
            try:
                samples[server.name].append(case.work.take(server, case.load, around))
            except Failed as error:
                samples[server.name].append(None)
                remarks[server.name] = f"{case.name}: {server.name} failed: {error}"
    return Row(case, samples, remarks)


def _write(run: Run) -> None:
    folder = REPOSITORY / "bench" / "results"
    folder.mkdir(exist_ok=True)
    (folder / f"{run.name}.json").write_text(json.dumps(report.as_json(run), indent=1) + "\n")
    (folder / f"{run.name}.md").write_text(report.as_markdown(run))
    (folder / f"{run.name}.svg").write_text(plot.draw(run))
    print(report.as_text(run))
    print(f"\nwritten: {(folder / run.name).relative_to(REPOSITORY)}.{{md,svg,json}}")
