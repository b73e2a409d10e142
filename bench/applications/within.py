"""Runs a module as `python -m` does, in this folder: `python within.py MODULE ARGUMENT ...`."""

from __future__ import annotations

import os
import runpy
import sys

if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    sys.argv = sys.argv[1:]
    sys.path.insert(0, os.getcwd())
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
