"""Runs the suite; `-k PATTERN` chooses tests."""

from tests import support

support.main("tests.asgi", ("test_http", "test_lifespan", "test_websocket", "test_sites"))
