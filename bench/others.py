"""More servers of files, without targets: they take part where installed, and where `--peers` names them."""

from __future__ import annotations

from bench.client import HOST
from bench.servers import CONNECTIONS, Place, Server

NAMES = ("caddy", "h2o", "dufs", "miniserve", "static-web-server")


def caddy(place: Place) -> list[str]:
    """file_server with its listing, without HTTPS."""
    configuration = place.scratch / "Caddyfile"
    configuration.write_text(f"""{{
  admin off
  auto_https off
}}
http://{HOST}:{place.port} {{
  root * {place.root}
  file_server browse
}}
""")
    return [place.program, "run", "--config", str(configuration), "--adapter", "caddyfile"]


def h2o(place: Place) -> list[str]:
    """One thread, its own file handler."""
    configuration = place.scratch / "h2o.yaml"
    configuration.write_text(f"""num-threads: 1
max-connections: {CONNECTIONS}
listen:
  host: {HOST}
  port: {place.port}
hosts:
  default:
    paths:
      /:
        file.dir: {place.root}
        file.dirlisting: ON
""")
    return [place.program, "-c", str(configuration)]


def dufs(place: Place) -> list[str]:
    """Without a log."""
    options = ["--bind", HOST, "--port", str(place.port), "--log-format", ""]
    return [place.program, *options, str(place.root)]


def miniserve(place: Place) -> list[str]:
    """Its defaults: it logs nothing unless asked."""
    return [place.program, "--interfaces", HOST, "--port", str(place.port), str(place.root)]


def static_web_server(place: Place) -> list[str]:
    """Its defaults with a listing; errors alone are logged."""
    options = ["--host", HOST, "--port", str(place.port), "--root", str(place.root)]
    return [place.program, *options, "--log-level", "error", "--directory-listing", "true"]


SERVERS = (
    Server("caddy", "caddy", caddy, optional=True),
    Server("h2o", "h2o", h2o, optional=True),
    Server("dufs", "dufs", dufs, optional=True),
    Server("miniserve", "miniserve", miniserve, optional=True),
    Server("static-web-server", "static-web-server", static_web_server, optional=True),
)
