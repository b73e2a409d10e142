"""The command: `salver` and `python -m salver`."""

from __future__ import annotations

import sys

from salver import _salver


def main() -> int:
    """Run the command with the arguments of this process; its exit code."""
    return _salver.main(["salver", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
