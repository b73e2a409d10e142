"""Runs the suite."""

from tests import support

MODULES = [
    "test_slow",
    "test_files",
    "test_limits",
    "test_stop",
    "test_idle",
    "test_large_folder",
    "test_clock",
]

support.main("tests.faults", MODULES)
