"""The servers: how each is started, told what to serve, and found on its port.

A peer is one entry in SERVERS: a function that returns its command line, the program it needs, how its port
is known. Each is set up as its own manual advises for speed. Whether it logs is part of the entry: a server
that is measured with and without a log has two.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

#: Connections a server must be able to hold, with room to spare.
CONNECTIONS = 16_384


class Port(Enum):
    """How a server's port becomes known."""

    PRINTED = "it takes a free one and prints `Serving HTTP on ADDRESS port N`"
    CHOSEN = "a free one is chosen for it; it is up when it accepts"


@dataclass(frozen=True)
class Place:
    """Where one start of a server happens."""

    program: str  #: its path
    root: Path  #: the folder to serve
    scratch: Path  #: an empty folder of its own, for configuration and logs
    port: int  #: to listen on, with Port.CHOSEN
    answer: Path  #: the floor's fixed answer


@dataclass(frozen=True)
class Server:
    """One contestant."""

    name: str
    program: str  #: a name in tools.PROGRAMS
    command: Callable[[Place], list[str]]
    port: Port = Port.CHOSEN
    optional: bool = False  #: takes part in full runs if it is there, and where --peers names it


def salver(place: Place, log: str = "off") -> list[str]:
    """salver as anybody starts it, but silent unless `log` names a file."""
    return [place.program, "--bind", "127.0.0.1:0", "--directory", str(place.root), "--access-log", log]


def salver_logging(place: Place) -> list[str]:
    """salver with its default log line, in a file."""
    return salver(place, log=str(place.scratch / "access.log"))


def nginx(place: Place, log: str = "off", sending: str = "sendfile on;") -> list[str]:
    """One worker, open_file_cache, no limit of requests. Needs nothing but the program and its MIME table."""
    configuration = place.scratch / "nginx.conf"
    types = Path("/etc/nginx/mime.types")
    user = "user root;" if os.geteuid() == 0 else ""
    folders = "\n  ".join(
        f"{kind}_temp_path {place.scratch / kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration.write_text(f"""{user}
daemon off;
worker_processes 1;
worker_rlimit_nofile {CONNECTIONS + 1000};
pid {place.scratch / "nginx.pid"};
error_log stderr;
events {{ worker_connections {CONNECTIONS}; }}
http {{
  {f"include {types};" if types.exists() else "types { text/plain txt; }"}
  default_type application/octet-stream;
  {folders}
  access_log {log};
  {sending}
  open_file_cache max=10000 inactive=300s;
  open_file_cache_valid 60s;
  open_file_cache_errors on;
  keepalive_timeout 300s;
  keepalive_requests 1000000000;
  server {{
    listen 127.0.0.1:{place.port};
    root {place.root};
    autoindex on;
  }}
}}
""")
    return [place.program, "-p", str(place.scratch), "-e", "stderr", "-c", str(configuration)]


def nginx_logging(place: Place) -> list[str]:
    """nginx with its default log line (combined), in a file."""
    return nginx(place, log=str(place.scratch / "access.log"))


def nginx_cork(place: Place) -> list[str]:
    """tcp_nopush: head and first bytes in one segment, for two system calls more."""
    return nginx(place, sending="sendfile on; tcp_nopush on;")


def nginx_read(place: Place) -> list[str]:
    """No sendfile: small files leave in one writev with their head."""
    return nginx(place, sending="sendfile off;")


def http_server(place: Place) -> list[str]:
    """What salver takes the place of, as everybody types it; its log goes to a file."""
    return [
        place.program,
        "-u",
        "-m",
        "http.server",
        "--bind",
        "127.0.0.1",
        "--directory",
        str(place.root),
        "0",
    ]


def floor(place: Place) -> list[str]:
    """bench/floor/floor.c: the kernel's part."""
    return [place.program, str(place.answer)]


def lighttpd(place: Place) -> list[str]:
    """sendfile, cached stat calls, no access log: its defaults, but for the limit of requests."""
    configuration = place.scratch / "lighttpd.conf"
    configuration.write_text(f"""
server.document-root = "{place.root}"
server.bind = "127.0.0.1"
server.port = {place.port}
server.modules = ( "mod_dirlisting" )
server.max-fds = {CONNECTIONS + 1000}
server.max-connections = {CONNECTIONS}
server.max-keep-alive-requests = 1000000000
server.max-keep-alive-idle = 300
dir-listing.activate = "enable"
mimetype.assign = ( ".txt" => "text/plain", "" => "application/octet-stream" )
""")
    return [place.program, "-D", "-f", str(configuration)]


SERVERS = (
    Server("salver", "salver", salver, Port.PRINTED),
    Server("salver-log", "salver", salver_logging, Port.PRINTED),
    Server("nginx", "nginx", nginx),
    Server("nginx-log", "nginx", nginx_logging),
    Server("nginx-cork", "nginx", nginx_cork, optional=True),
    Server("nginx-read", "nginx", nginx_read, optional=True),
    Server("http.server", "python", http_server, Port.PRINTED),
    Server("floor", "floor", floor, Port.PRINTED),
    Server("lighttpd", "lighttpd", lighttpd, optional=True),
)
