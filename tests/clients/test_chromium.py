"""Chromium seeks in a film: it asks for the part it needs, and gets 206."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from pathlib import Path

from tests.clients.webm import film, vp8_frame
from tests.support import BUILD, Case, fail, require

PICTURES = 8
FRAMES = 600  # of about 100 kB: far more than the browser reads ahead
SECONDS = 120


def playwright() -> None:
    """playwright-core in the build folder."""
    if (BUILD / "node_modules" / "playwright-core").is_dir():
        return
    BUILD.mkdir(exist_ok=True)
    command = [
        require("npm"),
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--prefix",
        str(BUILD),
        "playwright-core",
    ]
    if subprocess.run(command, check=False).returncode != 0:
        fail(f"playwright-core is not installed: {' '.join(command)}")


class Chromium(Case):
    """The film is made here: pictures drawn by the browser, put together by `webm`."""

    def node(self, *arguments: str) -> str:
        """What seek.mjs prints."""
        environment = {
            **os.environ,
            "BUILD": str(BUILD),
            "CHROMIUM": require("chromium"),
            "NO_PROXY": "127.0.0.1",
        }
        command = [require("node", "nodejs"), str(Path(__file__).with_name("seek.mjs")), *arguments]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_seeking_in_a_film(self) -> None:
        playwright()
        urls = self.node("draw", str(PICTURES)).split()
        pictures = [vp8_frame(base64.b64decode(url.partition(",")[2])) for url in urls]
        content = film([pictures[index % PICTURES] for index in range(FRAMES)], 640, 480, 1000)
        self.folder.write("film.webm", content)
        server = self.serve()
        seen = json.loads(self.node("seek", f"{server.url}/film.webm"))
        self.assertEqual((seen["duration"], seen["width"]), (FRAMES, 640))
        self.assertAlmostEqual(seen["times"][0], 0.9, places=2)
        self.assertAlmostEqual(seen["times"][1], 0.5, places=2)
        starts = [
            int(match[1])
            for status, content_range in seen["statuses"]
            if status == 206 and (match := re.fullmatch(rf"bytes (\d+)-\d+/{len(content)}", content_range))
        ]
        self.assertTrue(any(start > len(content) * 0.8 for start in starts), (len(content), seen["statuses"]))
        self.assertTrue(
            any(len(content) * 0.3 < start < len(content) * 0.6 for start in starts), seen["statuses"]
        )
        self.assertRegex(server.log(), r'"GET /film\.webm HTTP/1\.1" 206 ')
