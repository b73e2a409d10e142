"""What lies in deploy/, each checked by its own tool."""

from __future__ import annotations

import re
import subprocess
import sys
import unittest

from tests.alone import BUILD
from tests.support import REPOSITORY, require, salver_command

DEPLOY = REPOSITORY / "deploy"


class Deploy(unittest.TestCase):
    """Units, images and manifests."""

    def test_systemd_units(self) -> None:
        analyze = require("systemd-analyze", "systemd")
        folder = BUILD / "units"
        folder.mkdir(parents=True, exist_ok=True)
        for unit in (DEPLOY / "systemd").iterdir():
            text = unit.read_text().replace("/usr/local/bin/salver", salver_command()[0])
            if (
                subprocess.run([analyze, "--version"], capture_output=True, text=True, check=True).stdout
                < "systemd 253"
            ):
                text = text.replace(
                    "Type=notify-reload", "Type=notify"
                )  # its reload is ours, in later versions
            (folder / unit.name).write_text(text)
        done = subprocess.run(
            [analyze, "verify", "--man=no", *map(str, folder.iterdir())],
            capture_output=True,
            text=True,
            check=False,
        )
        complaints = [line for line in done.stderr.splitlines() if "salver" in line]
        self.assertEqual((done.returncode, complaints), (0, []), done.stderr)

    def test_kubernetes_manifests(self) -> None:
        environment = BUILD / "kubernetes"
        python = environment / "bin" / "python"
        if not (environment / "made").exists():
            subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
            subprocess.run(
                [str(python), "-m", "pip", "install", "--quiet", "kubernetes-validate"], check=True
            )
            (environment / "made").touch()
        for manifest in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
            check = [str(environment / "bin" / "kubernetes-validate"), "--strict", str(manifest)]
            done = subprocess.run(check, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_options_in_what_is_deployed_exist(self) -> None:
        """What stands in a unit, image or manifest is taken by the command."""
        for path in [*DEPLOY.rglob("*.service"), *DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*Dockerfile")]:
            lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
            ours = [line for line in lines if re.search(r"salver|^ +- --|CMD|ENV", line)]
            options = set(re.findall(r"(?<![\w-])(--[a-z-]+)", "\n".join(ours)))
            options |= {
                "--" + name.lower().replace("_", "-")
                for name in re.findall(r"SALVER_([A-Z_]+)=", "\n".join(ours))
            }
            known = subprocess.run(
                [salver_command()[0], "--help"], capture_output=True, text=True, check=True
            ).stdout
            tools = {
                "--no-cache-dir",
                "--no-cache",
                "--release",
                "--locked",
                "--manifest-path",
                "--out",
                "--from",
            }
            tools |= {"--no-install-recommends", "--system", "--uid"}
            for option in options - tools:
                self.assertRegex(known, rf"(?m){re.escape(option)}\b", f"{path.name}: {option}")
