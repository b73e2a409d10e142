"""The kinds of measurement: what is done to a server, which figures come of it and how they are shown."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.client import HOST, Failed, exchange, fetch, held, request_bytes, warm
from bench.loads import Load, drive
from bench.process import machine_busy_seconds
from bench.running import Running, Surroundings, running
from bench.secure import handshakes
from bench.servers import Server

WARM_SECONDS = 0.25
IDLE_CONNECTIONS = 8_000
#: Programs that are not a binary of their own: the size of the interpreter says nothing.
INTERPRETED = ("python", "py:salver", "py:http.server")


@dataclass(frozen=True)
class Column:
    """A figure of a sample: its key, heading, and how many decimals are worth showing."""

    key: str
    heading: str
    decimals: int


@dataclass(frozen=True)
class Work:
    """A kind of measurement. The first column is the one that is compared and plotted."""

    title: str
    take: Callable[[Server, Load, Surroundings], dict[str, float]]
    columns: tuple[Column, ...]


def under_load(server: Server, load: Load, around: Surroundings) -> dict[str, float]:
    """A fresh server, warmed up, under load for a while."""
    with running(server, around, load) as target:
        return _loaded(target, load, around)


def beside_idle(server: Server, load: Load, around: Surroundings) -> dict[str, float]:
    """The same load on the same server twice: alone, then with thousands of idle connections open."""
    with running(server, around, load) as target:
        alone = _loaded(target, load, around)
        with held(target.port, load.path, IDLE_CONNECTIONS):
            crowded = _loaded(target, load, around)
    return {**crowded, "alone_us": alone["cpu_us"], "crowding": crowded["cpu_us"] / alone["cpu_us"]}


def idle_memory(server: Server, load: Load, around: Surroundings) -> dict[str, float]:
    """Memory per kept connection that had one answer and idles, and what stays when all are gone."""
    with running(server, around) as target:
        warm(target.port, load.path, {}, WARM_SECONDS)
        before, files = target.tree.settled_pss_bytes(), target.tree.open_files()
        with held(target.port, load.path, IDLE_CONNECTIONS):
            if target.tree.open_files() < files + IDLE_CONNECTIONS:
                raise Failed(f"{server.name} does not keep {IDLE_CONNECTIONS} connections")
            among = target.tree.settled_pss_bytes()
        _wait_until_closed(target, files)
        after = target.tree.settled_pss_bytes()
    return {
        "idle_bytes": (among - before) / IDLE_CONNECTIONS,
        "before_kib": before / 1024,
        "among_kib": among / 1024,
        "after_kib": after / 1024,
        "left": after / before,
    }


def greeted(server: Server, load: Load, around: Surroundings) -> dict[str, float]:
    """Whole handshakes, one after the other, each on a connection of its own."""
    with running(server, around, load) as target:
        _ask(target.port, load)
        handshakes(around.programs, target.port, 1)
        before = target.tree.cpu_seconds()
        count, seconds = handshakes(around.programs, target.port, around.seconds)
        spent = target.tree.cpu_seconds() - before
    return {
        "handshake_us": spent / count * 1e6,
        "per_cpu_second": count / spent,
        "per_second": count / seconds,
    }


def at_rest(server: Server, load: Load, around: Surroundings) -> dict[str, float]:
    """From start to first answer; memory then; size of the program."""
    with running(server, around) as target:
        _check(fetch(target.port, load.path, {}).status == 200, "the first answer is not 200")
        figures = {"start_ms": (time.perf_counter() - target.begun) * 1000}
        figures["rest_mib"] = target.tree.settled_pss_bytes() / (1 << 20)
    if server.program not in INTERPRETED:
        figures["binary_mib"] = Path(around.programs[server.program]).stat().st_size / (1 << 20)
    return figures


def _loaded(target: Running, load: Load, around: Surroundings) -> dict[str, float]:
    fields = _ask(target.port, load)
    warm(target.port, load.path, fields, WARM_SECONDS, load.body, load.secure)
    server_before, ours_before = target.tree.cpu_seconds(), _own_cpu_seconds()
    machine_before, begun = machine_busy_seconds(), time.monotonic()
    outcome = drive(around.programs, load, target.port, fields, around.seconds)
    server = target.tree.cpu_seconds() - server_before
    elapsed = time.monotonic() - begun
    ours = _own_cpu_seconds() - ours_before
    others = machine_busy_seconds() - machine_before - server - ours
    return {
        "cpu_us": server / outcome.requests * 1e6,
        "both_us": (server + ours) / outcome.requests * 1e6,
        "rps": outcome.requests / outcome.seconds,
        "p99_ms": outcome.p99_ms,
        "core_percent": server / elapsed * 100,
        "socket_errors": outcome.socket_errors,
        "others_percent": max(0.0, others) / elapsed * 100,
    }


def _ask(port: int, load: Load) -> Mapping[str, str]:
    """Makes sure that the answer is the one that is meant; returns the fields to load the server with."""
    answer = fetch(port, load.path, {}, load.body, load.secure)
    _check(answer.status == 200, f"GET {load.path} is answered with {answer.status}")
    _check(
        load.length in (None, len(answer.body)),
        f"GET {load.path}: {len(answer.body)} bytes instead of {load.length}",
    )
    _check(load.holds in answer.body, f"GET {load.path}: {load.holds!r} is not in it")
    if not load.revalidate:
        return {}
    if "etag" in answer.fields:
        fields = {"If-None-Match": answer.fields["etag"]}
    else:
        fields = {"If-Modified-Since": answer.fields.get("last-modified", "")}
    status = fetch(port, load.path, fields).status
    _check(status == 304, f"GET {load.path} with {fields} is answered with {status}")
    return fields


def whole_answer(server: Server, path: str, around: Surroundings) -> bytes:
    """A server's answer on a kept connection, byte by byte: what the floor repeats."""
    with (
        running(server, around) as target,
        socket.create_connection((HOST, target.port), timeout=10) as connection,
    ):
        return exchange(connection, request_bytes(target.port, path, {}))


def _wait_until_closed(target: Running, files: int) -> None:
    deadline = time.monotonic() + 10
    while target.tree.open_files() > files + 10:
        _check(time.monotonic() < deadline, "connections stay open 10 s after their clients left")
        time.sleep(0.05)


def _own_cpu_seconds() -> float:
    """This process and the load generators that ended."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _check(right: bool, otherwise: str) -> None:
    if not right:
        raise Failed(otherwise)


UNDER_LOAD = Work(
    "Under load",
    under_load,
    (
        Column("cpu_us", "CPU µs/request", 2),
        Column("rps", "requests/s", 0),
        Column("p99_ms", "p99 ms", 2),
        Column("core_percent", "% of its core", 0),
        Column("both_us", "CPU µs with the load's", 2),
    ),
)
BESIDE_IDLE = Work(
    f"Under load, {IDLE_CONNECTIONS:,} idle connections beside it",
    beside_idle,
    (
        Column("crowding", "with ÷ without", 2),
        Column("cpu_us", "CPU µs/request with", 2),
        Column("alone_us", "without", 2),
        Column("p99_ms", "p99 ms with", 2),
    ),
)
IDLE_MEMORY = Work(
    f"{IDLE_CONNECTIONS:,} idle kept connections",
    idle_memory,
    (
        Column("idle_bytes", "bytes/connection", 0),
        Column("before_kib", "PSS before, KiB", 0),
        Column("among_kib", "with them", 0),
        Column("after_kib", "after they closed", 0),
        Column("left", "after ÷ before", 2),
    ),
)
GREETED = Work(
    "TLS 1.3 handshakes, ECDSA P-256",
    greeted,
    (
        Column("handshake_us", "CPU µs/handshake", 1),
        Column("per_cpu_second", "handshakes/CPU second", 0),
        Column("per_second", "handshakes/s", 0),
    ),
)
AT_REST = Work(
    "At rest",
    at_rest,
    (
        Column("rest_mib", "PSS MiB", 2),
        Column("start_ms", "start to first answer, ms", 1),
        Column("binary_mib", "binary MiB", 1),
    ),
)
WORKS = (UNDER_LOAD, BESIDE_IDLE, IDLE_MEMORY, GREETED, AT_REST)
