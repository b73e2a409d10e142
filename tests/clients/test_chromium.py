"""Chromium seeks in a film: it asks for the part it needs, and gets 206."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

from tests import chromium
from tests.clients.webm import film, vp8_frame
from tests.support import Case

PICTURES = 8
FRAMES = 600  # of about 100 kB: far more than the browser reads ahead
SEEK = Path(__file__).with_name("seek.mjs")


class Chromium(Case):
    """The film is made here: pictures drawn by the browser, put together by `webm`."""

    def test_seeking_in_a_film(self) -> None:
        urls = chromium.run(SEEK, "draw", str(PICTURES)).split()
        pictures = [vp8_frame(base64.b64decode(url.partition(",")[2])) for url in urls]
        content = film([pictures[index % PICTURES] for index in range(FRAMES)], 640, 480, 1000)
        self.folder.write("film.webm", content)
        server = self.serve()
        seen = json.loads(chromium.run(SEEK, "seek", f"{server.url}/film.webm"))
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
        server.tells('"GET /film.webm HTTP/1.1" 206 ')
