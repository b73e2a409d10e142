"""Chromium, driven by playwright-core; it and axe-core are fetched into the build folder."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.support import BUILD, fail, require

PACKAGES = ("playwright-core", "axe-core")
SECONDS = 240


def install() -> None:
    """The packages in the build folder."""
    if all((BUILD / "node_modules" / package).is_dir() for package in PACKAGES):
        return
    BUILD.mkdir(exist_ok=True)
    npm = [
        require("npm"),
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--prefix",
        str(BUILD),
        *PACKAGES,
    ]
    if subprocess.run(npm, check=False).returncode != 0:
        fail(f"{' and '.join(PACKAGES)} are not installed: {' '.join(npm)}")


def play(scenario: str, url: str) -> Any:
    """What a scenario of scenarios.mjs saw."""
    install()
    environment = {
        **os.environ,
        "BUILD": str(BUILD),
        "CHROMIUM": require("chromium"),
        "NO_PROXY": "127.0.0.1",
    }
    command = [require("node", "nodejs"), str(Path(__file__).with_name("drive.mjs")), scenario, url]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode != 0:
        raise AssertionError(f"{scenario}: {done.stderr}")
    return json.loads(done.stdout)
