"""Runs the suite."""

from tests import support

support.main("tests.tls", ["test_https", "test_local", "test_acme", "test_testssl"])
