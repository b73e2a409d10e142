"""The rows: what is asked of which servers, and what is hoped for.

A row names every server that can do its work. Targets compare within one run: `Target(0.70, to="nginx")` says
that salver takes at most 0.70 of what nginx takes, by the first column of the row's kind of work or by
the one it names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from bench import content, others, secure
from bench.loads import Load
from bench.works import AT_REST, BESIDE_IDLE, GREETED, IDLE_MEMORY, UNDER_LOAD, Work


class How(Enum):
    """How a comparison is made, round by round."""

    RATIO = "÷"
    DIFFERENCE = "-"
    ITSELF = ""


@dataclass(frozen=True)
class Target:
    """A comparison, and what it may be at most (None: it is only shown)."""

    at_most: float | None
    how: How = How.RATIO
    of: str = "salver"
    to: str = ""
    key: str = ""  #: a column; the work's first unless named


@dataclass(frozen=True)
class Case:
    """One row."""

    name: str
    title: str
    work: Work
    servers: tuple[str, ...]
    load: Load
    targets: tuple[Target, ...]


FILES = ("salver", "nginx", "nginx-cork", "nginx-read", "http.server", "lighttpd", *others.NAMES)
#: What is posted.
POSTED = b"0123456789" * 1024
SMALL = Load(content.SMALL, length=len(content.SMALL_BODY))


def of_nginx(at_most: float) -> tuple[Target, ...]:
    """The targets of a row that files servers can do."""
    shown = (Target(None, to=peer) for peer in ("nginx-cork", "nginx-read", "lighttpd", *others.NAMES))
    return (Target(at_most, to="nginx"), Target(0.05, to="http.server"), *shown)


ASYNCHRONOUS = ("salver-py", "uvicorn", "granian-asgi", "hypercorn")
HOSTS = ("salver-py", "bjoern", "fastwsgi", "granian", "uwsgi", "gunicorn", "waitress")
GREETING = Load("/", length=len(content.SMALL_BODY), holds=content.SMALL_BODY)


def of_hosts(**at_most: float) -> tuple[Target, ...]:
    """The targets of a row that servers of WSGI applications can do; peers that are not named are shown."""
    return tuple(Target(at_most.get(peer), of=HOSTS[0], to=peer) for peer in HOSTS[1:])


def of_asynchronous(**at_most: float) -> tuple[Target, ...]:
    """The targets of a row that servers of ASGI applications can do."""
    limits = {name.replace("_", "-"): limit for name, limit in at_most.items()}
    return tuple(Target(limits.get(peer), of=ASYNCHRONOUS[0], to=peer) for peer in ASYNCHRONOUS[1:])


def of_secure(at_most: float) -> tuple[Target, ...]:
    """The targets of a row of HTTPS: at most so much of nginx, the others are shown."""
    first, nginx, *peers = secure.NAMES
    return (Target(at_most, of=first, to=nginx), *(Target(None, of=first, to=peer) for peer in peers))


#: The rows of a quick run.
QUICK = ("small", "304", "16k", "listing", "h2", "wsgi", "asgi")

CASES = (
    Case(
        "small",
        "13-byte file, 64 connections",
        UNDER_LOAD,
        (*FILES, "floor"),
        SMALL,
        (*of_nginx(0.70), Target(1.20, to="floor")),
    ),
    Case(
        "304",
        "304 Not Modified, 64 connections",
        UNDER_LOAD,
        FILES,
        Load(content.SMALL, length=len(content.SMALL_BODY), revalidate=True),
        of_nginx(0.70),
    ),
    Case(
        "16k",
        "16 KiB file, 64 connections",
        UNDER_LOAD,
        FILES,
        Load(content.MEDIUM, length=content.MEDIUM_LENGTH),
        of_nginx(0.85),
    ),
    Case(
        "1m",
        "1 MiB file, 16 connections",
        UNDER_LOAD,
        FILES,
        Load(content.LARGE, connections=16, length=content.LARGE_LENGTH),
        of_nginx(0.95),
    ),
    Case(
        "100m",
        "100 MiB file, 2 connections",
        UNDER_LOAD,
        FILES,
        Load(content.HUGE, connections=2, length=content.HUGE_LENGTH, per_second=10),
        of_nginx(1.05),
    ),
    Case(
        "listing",
        "listing of 1,000 entries, 16 connections",
        UNDER_LOAD,
        FILES,
        Load(content.FOLDER, connections=16, holds=content.LAST_ENTRY.encode()),
        of_nginx(1.0),
    ),
    Case(
        "cgi",
        "compiled hello CGI, 32 connections",
        UNDER_LOAD,
        ("salver-cgi", "lighttpd-cgi", "apache-cgid"),
        Load(content.SCRIPT, connections=32, length=len(content.SCRIPT_BODY)),
        (
            Target(0.85, of="salver-cgi", to="lighttpd-cgi"),
            # By answers a second: what mod_cgid's scripts cost is counted for nobody, see README.md.
            Target(0.85, of="apache-cgid", to="salver-cgi", key="rps"),
        ),
    ),
    Case(
        "log",
        "13-byte file, access log to a file",
        UNDER_LOAD,
        ("salver", "salver-log", "nginx", "nginx-log"),
        SMALL,
        (
            Target(0.6, How.DIFFERENCE, of="salver-log", to="salver"),
            Target(None, How.DIFFERENCE, of="nginx-log", to="nginx"),
        ),
    ),
    Case(
        "crowd",
        "13-byte file, 64 connections busy",
        BESIDE_IDLE,
        ("salver", "nginx", "lighttpd"),
        SMALL,
        (Target(1.15, How.ITSELF), Target(None, How.ITSELF, of="nginx")),
    ),
    Case(
        "idle",
        "memory of idle connections",
        IDLE_MEMORY,
        ("salver", "nginx", "lighttpd"),
        SMALL,
        (
            Target(1100, How.ITSELF),
            Target(1.20, How.ITSELF, key="left"),
            Target(None, to="nginx"),
        ),
    ),
    Case(
        "rest",
        "one folder served",
        AT_REST,
        ("salver", "nginx", "http.server", "lighttpd"),
        SMALL,
        (
            Target(8, How.ITSELF, key="rest_mib"),
            Target(15, How.ITSELF, key="start_ms"),
            Target(12, How.ITSELF, key="binary_mib"),
        ),
    ),
    Case(
        "h2",
        "13-byte file by HTTP/2 within TLS, 16 connections of 16 streams",
        UNDER_LOAD,
        secure.NAMES,
        replace(SMALL, connections=16, streams=16, per_second=30_000, secure=True),
        of_secure(0.9),
    ),
    Case(
        "tls-1m",
        "1 MiB file by HTTP/1.1 within TLS 1.3, 16 connections",
        UNDER_LOAD,
        secure.NAMES,
        Load(content.LARGE, connections=16, length=content.LARGE_LENGTH, per_second=600, secure=True),
        of_secure(1.0),
    ),
    Case(
        "handshake", "whole handshakes", GREETED, secure.NAMES, replace(SMALL, secure=True), of_secure(1.05)
    ),
    Case(
        "wsgi",
        "WSGI hello, 64 connections",
        UNDER_LOAD,
        HOSTS,
        replace(GREETING, application="plain:hello"),
        of_hosts(bjoern=0.85, fastwsgi=0.85, granian=0.65),
    ),
    Case(
        "flask",
        "Flask hello, 64 connections",
        UNDER_LOAD,
        HOSTS,
        replace(GREETING, application="with_flask:app"),
        of_hosts(bjoern=0.95, fastwsgi=0.95, granian=0.95, uwsgi=0.95, gunicorn=0.95, waitress=0.95),
    ),
    Case(
        "echo",
        "WSGI echo of a 10 KB POST, 64 connections",
        UNDER_LOAD,
        HOSTS,
        Load("/", length=len(POSTED), holds=POSTED, body=POSTED, application="plain:echo"),
        of_hosts(granian=0.9),
    ),
    Case(
        "sleep",
        "WSGI view of 10 ms, 8 threads, 64 connections",
        UNDER_LOAD,
        HOSTS,
        replace(GREETING, application="plain:sleeping", threads=8),
        (
            # By answers a second: 800 are to be had from 8 threads.
            *(Target(1.03, of=peer, to=HOSTS[0], key="rps") for peer in HOSTS[1:]),
            *(Target(None, of=HOSTS[0], to=peer) for peer in HOSTS[1:]),
        ),
    ),
    Case(
        "handler",
        "handler class hello, 64 connections",
        UNDER_LOAD,
        ("salver-py", "http.server-class"),
        replace(GREETING, application="plain:Handler"),
        (Target(0.1, of="salver-py", to="http.server-class"),),
    ),
    Case(
        "asgi",
        "ASGI hello, 64 connections",
        UNDER_LOAD,
        ASYNCHRONOUS,
        replace(GREETING, application="asynchronous:hello"),
        of_asynchronous(granian_asgi=0.60, uvicorn=0.45),
    ),
    Case(
        "asgi-echo",
        "ASGI echo of a 10 KB POST, 64 connections",
        UNDER_LOAD,
        ASYNCHRONOUS,
        Load("/", length=len(POSTED), holds=POSTED, body=POSTED, application="asynchronous:echo"),
        of_asynchronous(granian_asgi=0.75, uvicorn=0.75, hypercorn=0.75),
    ),
    Case(
        "fastapi",
        "JSON by FastAPI, 64 connections",
        UNDER_LOAD,
        ASYNCHRONOUS,
        Load("/", holds=b"Hello, world!", application="with_fastapi:app"),
        of_asynchronous(granian_asgi=0.90, uvicorn=0.90, hypercorn=0.90),
    ),
    Case(
        "websocket",
        "WebSocket echo of 100 bytes, 64 connections",
        UNDER_LOAD,
        ASYNCHRONOUS,
        replace(GREETING, application="asynchronous:hello", message=100),
        of_asynchronous(granian_asgi=0.80, uvicorn=0.80, hypercorn=0.80),
    ),
    Case(
        "workers",
        "13-byte file, 64 connections, one worker and two on one core",
        UNDER_LOAD,
        ("salver", "salver-two"),
        SMALL,
        (Target(1.05, of="salver-two", to="salver"),),
    ),
)
