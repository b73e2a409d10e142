"""Runs the suite; `-k PATTERN` chooses tests."""

from tests import support
from tests.packages import within

MODULES = (
    "test_wsgi_answer",
    "test_wsgi_faults",
    "test_wsgi_request",
    "test_wsgi_stream",
    "test_handlers",
    "test_classes",
    "test_swap",
    "test_cpython",
    "test_embedding",
    "test_turns",
    "test_start",
    "test_gunicorn",
    "test_reload",
    "test_sites",
    "test_django",
    "test_differential",
    "test_carriers",
    "test_http2",
)

within("python", "h2==4.*")
support.main("tests.python", MODULES)
