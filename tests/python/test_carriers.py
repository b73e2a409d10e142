"""Every handler answers the same whatever carries it: the tables of WSGI and of handler classes within TLS and by HTTP/2."""

from __future__ import annotations

import unittest
from typing import Any

from tests.python import (
    test_handlers,
    test_wsgi_answer,
    test_wsgi_faults,
    test_wsgi_request,
    test_wsgi_stream,
)
from tests.python.carriers import Carrier, Http2, Http2Tls, Tls
from tests.python.environments import newest
from tests.python.hosting import HostCase

TABLES: tuple[type[HostCase], ...] = (
    test_wsgi_answer.Start,
    test_wsgi_answer.ExcInfo,
    test_wsgi_answer.Closing,
    test_wsgi_answer.Lengths,
    test_wsgi_answer.Bodiless,
    test_wsgi_faults.Heads,
    test_wsgi_faults.Exceptions,
    test_wsgi_request.Environ,
    test_wsgi_request.Input,
    test_wsgi_request.Truth,
    test_wsgi_stream.FileWrapper,
    test_wsgi_stream.Streaming,
    test_wsgi_stream.EarlyHints,
    test_handlers.Attributes,
    test_handlers.Answers,
    test_handlers.OldProtocol,
    test_handlers.Overrides,
    test_handlers.ByHand,
    test_handlers.Quiet,
)
#: Tests of what only HTTP/1 has.
OF_HTTP_1 = (
    "test_bad_chunks_midway",
    "test_close_connection",
    "test_connection_close_is_obeyed",
    "test_http_1_0",
    "test_known_length_keeps_http_1_0",
    "test_not_to_http_1_0",
    "test_unknown_length_closes_http_1_0",
    "test_chunk_by_chunk_to_http_1_0",
    "test_a_request",  # reads its request line from the socket, as HTTP/1
    "test_no_continue_behind_the_head",  # a 100 that comes before the head is as good
)


def load_tests(loader: unittest.TestLoader, _: Any, __: Any) -> unittest.TestSuite:
    """Each table once for each carrier."""
    suite = unittest.TestSuite()
    carriers: tuple[type[Carrier], ...] = (Tls, Http2, Http2Tls)
    for carrier in carriers:
        for case in TABLES:
            members: dict[str, Any] = {"python": newest(), "CARRIER": carrier, "__module__": __name__}
            if carrier.version == "HTTP/2.0":
                members |= {name: None for name in OF_HTTP_1 if hasattr(case, name)}
            chosen = type(f"{case.__name__}_{carrier.__name__}", (case,), members)
            suite.addTests(loader.loadTestsFromTestCase(chosen))
    return suite
