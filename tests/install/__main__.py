"""Runs the suite."""

from tests import support

support.main("tests.install", ["test_install", "test_package"])
