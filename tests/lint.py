#!/usr/bin/env python3
"""Lints the Python of the project: ruff's rules and format, mypy's strict types. They are installed into build/lint."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "build" / "lint"
FOLDERS = ("tests", "bench", "crates/salver-py/python")
APPLICATIONS = "tests/python/apps"  # served from their own folder: their modules belong to no package
PACKAGES = ("ruff==0.17.*", "mypy==2.4.*")


def installed() -> Path:
    """The folder with the tools' programs; they are fetched once."""
    programs = TOOLS / "bin"
    if not (programs / "mypy").exists() or not (programs / "ruff").exists():
        subprocess.run([sys.executable, "-m", "venv", str(TOOLS)], check=True)
        install = [str(programs / "python"), "-m", "pip", "install", "--quiet", *PACKAGES]
        subprocess.run(install, check=True)
    return programs


def main() -> int:
    """Runs every lint, also after one has failed; the exit code."""
    try:
        programs = installed()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"lint: error: ruff and mypy cannot be installed into {TOOLS}: {error}", file=sys.stderr)
        return 1
    mypy = ["mypy", "--strict", "--no-error-summary"]
    commands = [
        *(["ruff", "check", "--quiet", folder] for folder in FOLDERS),
        *(["ruff", "format", "--check", "--quiet", folder] for folder in FOLDERS),
        *([*mypy, f"--exclude=^{APPLICATIONS}/", folder] for folder in FOLDERS),
        [*mypy, "--explicit-package-bases", APPLICATIONS],
    ]
    environment = {**os.environ, "MYPYPATH": APPLICATIONS}
    failed = 0
    for program, *options in commands:
        # Only the applications are looked up there; the others are packages of this folder.
        variables = environment if APPLICATIONS in options else None
        command = [str(programs / program), *options]
        failed += subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
