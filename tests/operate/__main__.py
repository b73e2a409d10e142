"""Runs the suite."""

from tests import support

support.main(
    "tests.operate",
    [
        "test_workers",
        "test_reload",
        "test_end",
        "test_inside",
        "test_logs",
        "test_faults",
        "test_applications",
        "test_preload",
        "test_deploy",
    ],
)
