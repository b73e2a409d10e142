"""Runs the suite."""

from tests import support

support.main("tests.differential", ["test_differential"])
