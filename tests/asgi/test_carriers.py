"""An ASGI application answers the same whatever carries it: within TLS and by HTTP/2."""

from __future__ import annotations

from tests.asgi import test_http
from tests.python.hosting import on_every_carrier

TABLES = (test_http.Scope, test_http.Content, test_http.Answers, test_http.Faults)
#: Tests of what only HTTP/1 has.
OF_HTTP_1 = ("test_a_broken_body", "test_version_and_extensions")

load_tests = on_every_carrier(TABLES, OF_HTTP_1)
