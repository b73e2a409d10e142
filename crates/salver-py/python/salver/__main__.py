"""The command: `salver` and `python -m salver`."""

from __future__ import annotations

import signal
import sys

from salver import _salver


def main() -> int:
    """Run the command with the arguments of this process; its exit code."""
    # The command hears of Ctrl-C by itself. Python's own handler, which would be called too, raises
    # KeyboardInterrupt in whatever runs on this thread: a request that may end, or this function's return.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _salver.main(["salver", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
