"""The servers of Python applications, one thread or process each unless the row asks for more threads."""

from __future__ import annotations

from pathlib import Path

from bench import others, secure
from bench.servers import SERVERS, Place, Port, Server

APPLICATIONS = Path(__file__).with_name("applications")


def salver(place: Place) -> list[str]:
    """salver's wheel, silent."""
    options = ["--bind", "127.0.0.1:0", "--app-dir", str(APPLICATIONS), "--access-log", "off"]
    threads = ["--threads", str(place.threads)] if place.threads else []
    return [place.program, "-m", "salver", place.application, *options, *threads]


def called(name: str, place: Place) -> list[str]:
    """A server that applications/serve.py calls."""
    script = str(APPLICATIONS / "serve.py")
    return [place.program, script, name, place.application, str(place.port)]


def bjoern(place: Place) -> list[str]:
    """One thread in C on libev."""
    return called("bjoern", place)


def fastwsgi(place: Place) -> list[str]:
    """One thread in C on libuv."""
    return called("fastwsgi", place)


def http_server(place: Place) -> list[str]:
    """The standard library's own, for handler classes."""
    return called("http.server", place)


def granian(place: Place) -> list[str]:
    """One worker, HTTP/1 alone, its log off."""
    options = ["--interface", "wsgi", "--http", "1", "--no-ws", "--no-log", "--host", "127.0.0.1"]
    options += ["--port", str(place.port), "--working-dir", str(APPLICATIONS)]
    threads = ["--blocking-threads", str(place.threads)] if place.threads else []
    return [place.program, "-m", "granian", *options, *threads, place.application]


def granian_asgi(place: Place) -> list[str]:
    """One worker on uvloop, with WebSockets, its log off."""
    options = ["--interface", "asgi", "--http", "1", "--no-log", "--host", "127.0.0.1", "--loop", "uvloop"]
    options += ["--port", str(place.port), "--working-dir", str(APPLICATIONS)]
    return [place.program, "-m", "granian", *options, place.application]


def uvicorn(place: Place) -> list[str]:
    """One process on uvloop and httptools, its access log off."""
    options = ["--host", "127.0.0.1", "--port", str(place.port), "--app-dir", str(APPLICATIONS)]
    options += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error"]
    return [place.program, "-m", "uvicorn", *options, place.application]


def hypercorn(place: Place) -> list[str]:
    """One worker on uvloop; it has no log unless asked."""
    options = ["--bind", f"127.0.0.1:{place.port}", "--worker-class", "uvloop", "--workers", "1"]
    return [place.program, str(APPLICATIONS / "within.py"), "hypercorn", *options, place.application]


def uwsgi(place: Place) -> list[str]:
    """One worker that speaks HTTP/1.1 itself, without its router and its log."""
    module, _, attribute = place.application.partition(":")
    program = str(Path(place.program).with_name("uwsgi"))
    options = ["--http11-socket", f"127.0.0.1:{place.port}", "--chdir", str(APPLICATIONS)]
    options += ["--module", module, "--callable", attribute, "--disable-logging", "--master"]
    options += ["--need-app", "--die-on-term", "--processes", "1", "--virtualenv", str(_environment(place))]
    return [
        program,
        *options,
        *(["--enable-threads", "--threads", str(place.threads)] if place.threads else []),
    ]


def gunicorn(place: Place) -> list[str]:
    """One worker of threads: 4 as in its manual's example for gthread."""
    options = ["--workers", "1", "--worker-class", "gthread", "--threads", str(place.threads or 4)]
    options += ["--bind", f"127.0.0.1:{place.port}", "--chdir", str(APPLICATIONS), "--keep-alive", "75"]
    return [place.program, "-m", "gunicorn", *options, place.application]


def waitress(place: Place) -> list[str]:
    """Its four threads."""
    options = [f"--listen=127.0.0.1:{place.port}", f"--threads={place.threads or 4}"]
    return [place.program, "-m", "waitress", *options, "--connection-limit=1000", place.application]


def _environment(place: Place) -> Path:
    return Path(place.program).parent.parent


HOSTS = (
    Server("salver-py", "py:salver", salver, Port.PRINTED),
    Server("bjoern", "py:bjoern", bjoern),
    Server("fastwsgi", "py:fastwsgi", fastwsgi, optional=True),
    Server("granian", "py:granian", granian, optional=True),
    Server("uwsgi", "py:uwsgi", uwsgi, optional=True),
    Server("gunicorn", "py:gunicorn", gunicorn),
    Server("waitress", "py:waitress", waitress, optional=True),
    Server("uvicorn", "py:uvicorn", uvicorn),
    Server("granian-asgi", "py:granian", granian_asgi),
    Server("hypercorn", "py:hypercorn", hypercorn),
    Server("http.server-class", "py:http.server", http_server),
)
CONTESTANTS = (*SERVERS, *others.SERVERS, *secure.SERVERS, *HOSTS)
