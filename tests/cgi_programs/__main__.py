"""Runs the suite."""

from tests import support

support.main("tests.cgi_programs", ["test_git", "test_browsers", "test_languages"])
