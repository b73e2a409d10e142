"""An ASGI application answers the same whatever carries it: within TLS and by HTTP/2."""

from __future__ import annotations

from tests.asgi import test_http, test_websocket
from tests.python.hosting import on_every_carrier

TABLES = (
    test_http.Scope,
    test_http.Content,
    test_http.Answers,
    test_http.Faults,
    test_websocket.WebSockets,
    test_websocket.Limits,
)
#: Tests of what only HTTP/1 has; and of a stop, which the bridge does not outlive (tests/python/test_http2.py has it).
OF_HTTP_1 = (
    "test_at_a_stop_they_get_1012",
    "test_a_broken_body",
    "test_version_and_extensions",
    "test_the_handshake",
    "test_handshakes_that_are_none",
)

load_tests = on_every_carrier(TABLES, OF_HTTP_1)
