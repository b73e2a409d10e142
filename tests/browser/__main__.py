"""Runs the suite."""

from tests import support

support.main("tests.browser", ["test_page"])
