"""Chromium, driven by a script for node and playwright-core, which is fetched into the build folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.alone import BUILD, alone
from tests.support import fail, require


def run(script: Path, *arguments: str, seconds: float = 240, packages: tuple[str, ...] = ()) -> str:
    """What a script prints; `packages` of npm are there beside playwright-core. It has to succeed."""
    _install("playwright-core", *packages)
    environment = {
        **os.environ,
        "BUILD": str(BUILD),
        "CHROMIUM": require("chromium"),
        "NO_PROXY": "127.0.0.1",
    }
    command = [require("node", "nodejs"), str(script), *arguments]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )
    if done.returncode != 0:
        raise AssertionError(f"{script.name} {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def _install(*packages: str) -> None:
    quiet = ["--silent", "--no-audit", "--no-fund"]
    command = [require("npm"), "install", *quiet, "--prefix", str(BUILD), *packages]
    with alone("node_modules"):
        if all((BUILD / "node_modules" / package).is_dir() for package in packages):
            return
        if subprocess.run(command, check=False).returncode != 0:
            fail(f"{' and '.join(packages)} are not installed: {' '.join(command)}")
