"""An ASGI application in salver, uvicorn or hypercorn: `SALVER_HOST` names another than salver, as in tests/python."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.python.hosting import HostCase, OwnHosts
from tests.support import Answer

APPS = Path(__file__).with_name("apps")
CLIENTS = Path(__file__).with_name("clients")
#: The application of most tests.
TARGET = f"{APPS / 'conformance.py'}:app"


class AsgiCase(HostCase):
    """Tests that share one host of the conformance application."""

    TARGET = TARGET

    def json(self, name: str, query: str = "", **headers: str) -> Any:
        """The JSON that a route answers with."""
        answer = self.get(name, query, **headers)
        self.assertEqual(answer.status, 200, answer)
        return json.loads(answer.body)


class OwnAsgi(OwnHosts):
    """Tests that start hosts of their own."""

    def start(
        self, *options: str, target: str = TARGET, environment: Mapping[str, str] | None = None
    ) -> None:
        """Host the conformance application, or another."""
        self.serve(target, *options, environment=environment)

    def ask(self, path: str) -> Answer:
        """Ask the host."""
        return self.host.get(path)
