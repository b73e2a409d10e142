"""Runs a module as `python -m` does, in this folder: `python within.py MODULE ARGUMENT ...`."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    folder = Path(__file__).resolve().parent
    os.chdir(folder)
    sys.argv = sys.argv[1:]
    sys.path.insert(0, str(folder))
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
