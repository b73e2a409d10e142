"""The scenarios of scenarios.mjs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests import chromium

DRIVE = Path(__file__).with_name("drive.mjs")


def play(scenario: str, url: str) -> Any:
    """What a scenario saw."""
    return json.loads(chromium.run(DRIVE, scenario, url, seconds=240, packages=("axe-core",)))
