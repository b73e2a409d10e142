"""Runs the suite; `-k PATTERN` chooses tests."""

from tests import support
from tests.packages import within

within("asgi", "h2==4.*")
support.main("tests.asgi", ("test_http", "test_lifespan", "test_websocket", "test_sites", "test_carriers"))
