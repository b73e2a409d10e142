"""What time it is elsewhere, as a WSGI application: `salver examples/tour/zones.py:app`. Any other server of WSGI takes it as well."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

ROW = "<tr><th scope='row'>UTC{hours:+03d}:00<td>{time:%H:%M:%S}\n"


def rows() -> Iterator[bytes]:
    """The table, an hour a line; each leaves as it is made."""
    yield b"<!doctype html><html lang='en'><meta charset='utf-8'><title>Time</title><h1>Time</h1><table>\n"
    for hours in range(-11, 13):
        now = datetime.now(timezone(timedelta(hours=hours)))
        yield ROW.format(hours=hours, time=now).encode()
    yield b"</table>\n"


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The application: a table, or one zone as text (`?hours=2`)."""
    asked = parse_qs(environ.get("QUERY_STRING", "")).get("hours")
    if not asked:
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return rows()
    try:
        zone = timezone(timedelta(hours=int(asked[0])))
    except ValueError:
        body = f"{html.escape(asked[0])} is no number of hours between -23 and 23\n".encode()
        start_response("400 Bad Request", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]
    body = f"{datetime.now(zone):%H:%M:%S}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
