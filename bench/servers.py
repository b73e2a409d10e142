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
    application: str = ""  #: `module:attribute`, where the row is about one
    threads: int = 0  #: for the application; 0: what the server takes by itself


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


def salver_two(place: Place) -> list[str]:
    """salver with two workers below a supervisor."""
    return [*salver(place), "--workers", "2"]


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


def salver_cgi(place: Place) -> list[str]:
    """Scripts of /cgi-bin, as many at once as the load asks for."""
    return [*salver(place), "--cgi", "--cgi-limit", "32"]


def lighttpd_cgi(place: Place) -> list[str]:
    """mod_cgi, which runs an executable itself where no interpreter is named."""
    command = lighttpd(place)
    configuration = Path(command[-1])
    text = configuration.read_text().replace('"mod_dirlisting"', '"mod_dirlisting", "mod_cgi"')
    configuration.write_text(text + '$HTTP["url"] =~ "^/cgi-bin/" { cgi.assign = ( "" => "" ) }\n')
    return command


def apache_cgid(place: Place) -> list[str]:
    """mod_cgid: a daemon of its own forks the scripts, as its manual advises for threaded servers."""
    configuration = place.scratch / "apache.conf"
    user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
    place.scratch.chmod(0o755)
    modules = "\n".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"
        for name in ("mpm_event", "authz_core", "alias", "cgid")
    )
    configuration.write_text(f"""{modules}
ServerName 127.0.0.1
Listen 127.0.0.1:{place.port}
{user}
ServerRoot {place.scratch}
PidFile {place.scratch}/pid
ErrorLog {place.scratch}/error.log
ScriptSock {place.scratch}/cgid.sock
DocumentRoot {place.root}
StartServers 1
ServerLimit 1
ThreadsPerChild 64
MaxRequestWorkers 64
KeepAlive On
MaxKeepAliveRequests 0
ScriptAlias /cgi-bin/ {place.root}/cgi-bin/
<Directory {place.root}>
  Require all granted
</Directory>
""")
    return [place.program, "-D", "FOREGROUND", "-f", str(configuration)]


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
    Server("salver-two", "salver", salver_two, Port.PRINTED),
    Server("salver-cgi", "salver", salver_cgi, Port.PRINTED),
    Server("lighttpd-cgi", "lighttpd", lighttpd_cgi),
    Server("apache-cgid", "apache", apache_cgid),
)
