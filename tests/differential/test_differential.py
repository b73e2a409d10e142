"""Sends every case to both servers and asks the rules about each difference."""

from __future__ import annotations

import re
import subprocess
import unittest
from typing import ClassVar

from tests.differential import tree
from tests.differential.cases import Case, all_cases
from tests.differential.outcome import differences, exchange
from tests.differential.rules import RULES
from tests.support import Folder, Server, python_for_user


class Differential(unittest.TestCase):
    """Both servers serve the same folder."""

    folder: ClassVar[Folder]
    python: ClassVar[Server]
    salver: ClassVar[Server]
    version: ClassVar[tuple[int, int]]

    @classmethod
    def setUpClass(cls) -> None:
        outside = Folder()
        cls.addClassCleanup(outside.remove)
        cls.folder = Folder()
        cls.addClassCleanup(cls.folder.remove)
        tree.build(cls.folder, outside)
        interpreter = python_for_user()
        told = subprocess.run([interpreter, "--version"], capture_output=True, text=True, check=True).stdout
        match = re.search(r"(\d+)\.(\d+)", told)
        assert match is not None
        cls.version = (int(match[1]), int(match[2]))
        cls.python = Server(cls.folder.path, command=[interpreter, "-m", "http.server"])
        cls.addClassCleanup(cls.python.__exit__)
        cls.salver = Server(cls.folder.path)
        cls.addClassCleanup(cls.salver.__exit__)

    def test_only_the_table_of_differences_shows(self) -> None:
        used: set[str] = set()
        cases = list(all_cases())
        wrong = [line for case in cases for line in self.unexplained(case, used)]
        print(f"{len(cases)} requests, {len(wrong)} differences outside the table", flush=True)
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))
        expected = {name for name, rule in RULES.items() if self.version < rule.until}
        self.assertEqual(expected - used, set(), "rules that no request needed: remove them")

    def unexplained(self, case: Case, used: set[str]) -> list[str]:
        """The differences that no rule allows; the rules that others needed go into `used`."""
        python, salver = exchange(self.python, case), exchange(self.salver, case)
        lines = [] if salver.framed or case.method == "HEAD" or salver.status == 304 else [f"{case}: framing"]
        for difference in differences(python, salver):
            allowed = (
                name
                for name, rule in RULES.items()
                if self.version < rule.until and rule.covers(case, difference, python, salver)
            )
            name = next(allowed, None)
            if name is None:
                lines.append(f"{case} [{python.status}/{salver.status}] {difference}")
            else:
                used.add(name)
        return lines

    def test_http_server_equals_itself(self) -> None:
        """The comparison itself: two answers of one server differ in nothing."""
        for target in (b"/plain.txt", b"/nested/", b"/missing", b"/nested"):
            case = Case(target)
            self.assertEqual(list(differences(exchange(self.python, case), exchange(self.python, case))), [])
