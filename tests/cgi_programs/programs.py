"""What the tests here share: programs of Debian packages, scripts that start them, and a repository to show."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support import USER, Case, fail, install, require

IDENTITY = {
    **{f"GIT_{who}_NAME": "Terry" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "terry@example.org" for who in ("AUTHOR", "COMMITTER")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "NO_PROXY": "127.0.0.1",
}


def program(path: str, package: str) -> str:
    """A file of a Debian package, by its path; the package is installed when it is missing and this is root."""
    if not os.path.exists(path):
        install(package)
    if not os.path.exists(path):
        fail(f"{path} is not there: apt-get install {package}")
    return path


def git(*arguments: str) -> str:
    """What git prints."""
    command = [require("git"), "-c", "safe.directory=*", *arguments]
    done = subprocess.run(
        command, env={**os.environ, **IDENTITY}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.stderr}")
    return done.stdout


class Scripts(Case):
    """A folder with `/cgi-bin`."""

    def script(self, name: str, content: str) -> Path:
        """A script in `/cgi-bin`."""
        path = self.folder.write(f"cgi-bin/{name}", content)
        path.chmod(0o755)
        return path

    def project(self) -> Path:
        """A bare repository with two commits, owned by the user who serves it."""
        work, bare = self.folder.path / "work", self.folder.path / "projects" / "demo.git"
        git("init", "-q", "-b", "main", str(work))
        for number in (1, 2):
            (work / "README").write_text(f"version {number} of a <demo> & more\n")
            git("-C", str(work), "add", ".")
            git("-C", str(work), "commit", "-q", "-m", f"number {number}")
        git("clone", "-q", "--bare", "--no-local", str(work), str(bare))
        (bare / "description").write_text("A demonstration\n")
        self.own(bare.parent)
        return bare

    def own(self, root: Path) -> None:
        """Give a tree to the user who serves."""
        USER.own(root)
        for folder, folders, files in os.walk(root):
            for name in folders + files:
                USER.own(Path(folder) / name)
