"""An environment for every CPython at hand, with the project's wheel; the newest also has what requirements.txt lists.

They lie below build/python and are kept: made anew when the interpreter or requirements.txt changed, and given their wheels
again when these changed. `TEST_WHEELS` names a folder of wheels to use in place of building them; `TEST_PYTHONS=3.9,3.13`
leaves the other versions out.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.alone import BUILD
from tests.interpreters import interpreters
from tests.support import REPOSITORY, fail

FOLDER = BUILD / "python"
WHEELS = BUILD / "wheels"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
TOOLS = ("pip==25.2", "maturin==1.*")  # a later pip does not run on Python 3.9
PROJECTS = (REPOSITORY, REPOSITORY / "crates" / "salver-py")


@dataclass(frozen=True)
class Python:
    """An interpreter in an environment of its own."""

    version: tuple[int, ...]
    program: Path

    def __str__(self) -> str:
        return ".".join(map(str, self.version))


@functools.cache
def pythons() -> tuple[Python, ...]:
    """Every environment, the newest last; they are made first where that is needed."""
    found = interpreters("venv")
    if chosen := os.environ.get("TEST_PYTHONS"):
        found = {version: path for version, path in found.items() if _name(version) in chosen.split(",")}
    if not found:
        fail("no CPython from 3.9 on here has the module venv: apt-get install python3-venv")
    wheels = built_wheels(list(found.values()))
    latest, lists = max(found), REQUIREMENTS.read_text().splitlines()
    return tuple(
        Python(
            version, environment(FOLDER / _name(version), path, lists if version == latest else (), wheels)
        )
        for version, path in found.items()
    )


def newest() -> Python:
    """The environment that has everything."""
    return pythons()[-1]


def _name(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def environment(folder: Path, python: str, requirements: Sequence[str], wheels: Path | None) -> Path:
    """The interpreter of an environment with `requirements` (lines as in a file of them) and the wheel of salver."""
    program = folder / "bin" / "python"
    made, given = folder / "made", folder / "given"
    wanted = "\n".join([python, *requirements])
    if not _is(made, wanted):
        shutil.rmtree(folder, ignore_errors=True)
        run([python, "-m", "venv", "--without-pip", str(folder)])
        if requirements:
            (folder / "requirements.txt").write_text("\n".join(requirements))
            install(program, "--requirement", str(folder / "requirements.txt"))
        made.write_text(wanted)
    found = sorted(wheels.glob("*.whl")) if wheels else []
    content = hashlib.sha256(b"".join(wheel.read_bytes() for wheel in found)).hexdigest()
    if found and not _is(given, content):
        install(program, "--force-reinstall", "--no-deps", "--no-index", f"--find-links={wheels}", "salver")
        given.write_text(content)
    return program


def install(program: Path, *arguments: str) -> None:
    """pip, for another environment."""
    pip = [str(_tools() / "python"), "-m", "pip", "--python", str(program)]
    run([*pip, "install", "--quiet", "--disable-pip-version-check", *arguments])


def built_wheels(builders: Sequence[str]) -> Path:
    """The folder of a wheel for each of the interpreters, built by maturin unless a folder is named.

    For the last one as it is published; for the others without optimisation, which takes seconds in the place of minutes,
    and with every check of overflows and of what is assumed. It is empty where only oracles are asked.
    """
    if named := os.environ.get("TEST_WHEELS"):
        return Path(named)
    project = next((path for path in PROJECTS if (path / "pyproject.toml").exists()), None)
    if project is None:
        return WHEELS
    shutil.rmtree(WHEELS, ignore_errors=True)
    command = [str(_tools() / "maturin"), "build", "--locked", "--out", str(WHEELS), "--profile"]
    *others, published = builders
    for profile, chosen in (("dev", others), ("release", [published])):
        if chosen:
            run([*command, profile, "--interpreter", *chosen], project)
    return WHEELS


@functools.cache
def _tools() -> Path:
    """The programs of the environment that builds the others."""
    folder = FOLDER / "tools"
    made = folder / "made"
    if not _is(made, str(TOOLS)):
        shutil.rmtree(folder, ignore_errors=True)
        run([sys.executable, "-m", "venv", str(folder)])
        run([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *TOOLS])
        made.write_text(str(TOOLS))
    return folder / "bin"


def _is(stamp: Path, content: str) -> bool:
    return stamp.exists() and stamp.read_text() == content


def run(command: list[str], folder: Path | None = None) -> None:
    """A command without which nothing goes on."""
    done = subprocess.run(command, cwd=folder, check=False)
    if done.returncode != 0:
        fail(f"`{' '.join(command)}` failed; the environments of the tests are not complete")


if __name__ == "__main__":
    for made in pythons():
        print(made.program)
