"""Runs the suite."""

from tests import support

support.main(
    "tests.faults", ["test_slow", "test_files", "test_limits", "test_stop", "test_idle", "test_clock", "test_large_folder"]
)
