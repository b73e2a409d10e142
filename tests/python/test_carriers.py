"""Every handler answers the same whatever carries it: the tables of WSGI and of handler classes within TLS and by HTTP/2."""

from __future__ import annotations

from tests.python import (
    test_handlers,
    test_wsgi_answer,
    test_wsgi_faults,
    test_wsgi_request,
    test_wsgi_stream,
)
from tests.python.hosting import HostCase, on_every_carrier

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
    "test_unknown_length_closes_http_1_0",
    "test_chunk_by_chunk_to_http_1_0",
    "test_a_request",  # reads its request line from the socket, as HTTP/1
    "test_no_continue_behind_the_head",  # a 100 that comes before the head is as good
)

load_tests = on_every_carrier(TABLES, OF_HTTP_1)
