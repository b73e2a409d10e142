"""The environment of the rows about Python: the newest CPython at hand, salver's wheel, the peers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from tests.interpreters import interpreters
from tests.python.environments import built_wheels, environment

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
PREFIX = "py:"  #: of a program that is a package in the environment
ASK = "import importlib.metadata as m, sys; print(sys.argv[1], m.version(sys.argv[1]))"
#: What is no package: it comes with the interpreter.
STANDARD = ("http.server",)


def find(names: Collection[str], build: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The interpreter for each `py:PACKAGE` that is there, and a line for each that is not."""
    if not names:
        return {}, {}
    newest = list(interpreters("venv").values())[-1]
    program = environment(build / "python", newest, (), built_wheels([newest]))
    _install_peers(program)
    paths, missing = {}, {}
    for name in names:
        if version(str(program), name):
            paths[name] = str(program)
        else:
            missing[name] = f"{name[len(PREFIX) :]} could not be installed into {program.parent.parent}"
    return paths, missing


def version(program: str, name: str) -> str:
    """The version of a package; "" if it is not there."""
    package = name[len(PREFIX) :]
    command = [program, "--version"] if package in STANDARD else [program, "-c", ASK, package]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def _install_peers(program: Path) -> None:
    """One by one: a peer that does not build leaves the others. Tried once for each state of the list."""
    tried = program.parent.parent / "tried"
    wanted = REQUIREMENTS.read_text()
    if tried.exists() and tried.read_text() == wanted:
        return
    pip = Path(environment(program.parent.parent.with_name("pip"), sys.executable, ["pip==25.2"], None))
    for line in wanted.splitlines():
        requirement = line.partition("#")[0].strip()
        if requirement:
            print(f"bench: {requirement} into {program.parent.parent}", file=sys.stderr)
            command = [str(pip), "-m", "pip", "--python", str(program), "install", "--quiet", requirement]
            subprocess.run(command, check=False)
    tried.write_text(wanted)
