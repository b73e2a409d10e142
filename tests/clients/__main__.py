"""Runs the suite."""

from tests import support

support.main(
    "tests.clients",
    ["test_curl", "test_wget", "test_git", "test_pip", "test_mirror", "test_chromium", "test_activation"],
)
