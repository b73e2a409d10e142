"""Runs the suite; `-k PATTERN` chooses tests."""

from tests import support

support.main(
    "tests.python",
    [
        "test_wsgi_answer",
        "test_wsgi_faults",
        "test_wsgi_request",
        "test_wsgi_stream",
        "test_handlers",
        "test_swap",
    ],
)
