"""The listing page, looked at and used: light and dark, desktop and phone, with and without JavaScript."""

from __future__ import annotations

import os
import struct
import time
import wave
import zlib
from pathlib import Path
from typing import Any

from tests.browser.chromium import play
from tests.support import USER, Case

README = """# Tray

A small **demonstration** with a `README.md`. See [the source](src/) or [usage](#usage).

## Usage

```sh
salver ~/Public --title "My files"
```

- [x] sorted
- [ ] unsorted

| Option | Meaning |
|---|--:|
| `--hidden` | also dot files |

> A quote that says something.

![cover](cover.png) ![remote](https://example.org/x.png)
"""

HOSTILE_README = """<script>alert(1)</script> <img src=x onerror=alert(2)> <b onclick="alert(3)" style="color:red">b</b>

[a](javascript:alert(4)) ![b](https://example.org/b.png) ![c](//example.org/c.png) <iframe src="https://example.org"></iframe>
"""

HOSTILE: list[bytes] = [
    b"<img src=x onerror=alert(1)>",
    b"\"onmouseover='alert(1)'",
    b"<noscript><script>alert(1)<",
    b"<plaintext><table><tr>",
    b"line\nbreak",
    b"carriage\rreturn",
    b"javascript:alert(1)",
    b"https:example.org",
    "emoji \U0001f389.txt".encode(),
    "\u202egnp.exe \u05e9\u05dc\u05d5\u05dd".encode(),
    b"x" * 255,
    b"\xff\xfe not UTF-8",
    b"?sort=size",
    b"#fragment",
    b"&lt;b&gt; %3Cb%3E",
    b" leading and trailing ",
    b"back\\slash",
    b"[a](b) *c* {d}",
    b"'; drop",
    b"photo <b>.png",
]


def png(width: int, height: int, seed: int) -> bytes:
    """A picture of soft colours."""
    rows = b"".join(
        b"\0"
        + b"".join(
            bytes(((x + seed) % 256, (y * 2 + seed) % 256, (x + y) * seed % 256)) for x in range(width)
        )
        for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


class Page(Case):
    """One folder with everything in it."""

    def setUp(self) -> None:
        super().setUp()
        write = self.folder.write
        write("README.md", README)
        write("cover.png", png(320, 240, 3))
        write("src/main.rs", '//! Hello.\n\nfn main() {\n    println!("hello");\n}\n' * 30)
        write("src/deep/notes.txt", "deep")
        write("notes.txt", "some notes")
        write(
            "report.pdf",
            b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
            b"trailer<</Root 1 0 R>>\n",
        )
        self.folder.large("disk.iso", 5_368_709_120)
        self.folder.large("backup.tar.gz", 4_567_890)
        self.folder.folder("empty")
        for number in range(12):
            write(f"photos/holiday-{number:02}.png", png(160, 120, number * 19 + 1))
        with wave.open(str(write("tone.wav")), "wb") as tone:
            tone.setnchannels(1)
            tone.setsampwidth(1)
            tone.setframerate(8000)
            tone.writeframes(bytes(8000))
        old = time.time() - 40 * 86400
        os.utime(self.folder.path / "cover.png", (old, old))

    def play(self, scenario: str, *options: str) -> Any:
        """A scenario; whatever it is, nothing leaves the machine and the console stays empty."""
        seen = play(scenario, self.serve(*options).url)
        self.assertEqual(seen["foreign"], [])
        missing = [one for one in seen["failed"] if not one.endswith("/no/such")]
        self.assertEqual(missing, [])
        # What the browser says of the one page that is meant to be missing.
        messages = [one for one in seen["messages"] if "status of 404" not in one]
        self.assertEqual(messages, [])
        return seen

    def test_every_look(self) -> None:
        seen = self.play("looks")
        self.assertEqual(seen["axe"], {})
        self.assertEqual(seen["wide"], [])
        for label, colour in seen["background"].items():
            self.assertEqual(colour, "rgb(15, 19, 24)" if "-dark-" in label else "rgb(255, 255, 255)", label)

    def test_every_tool(self) -> None:
        seen = self.play("use")
        names = [
            "backup.tar.gz",
            "cover.png",
            "disk.iso",
            "empty/",
            "notes.txt",
            "photos/",
            "README.md",
            "report.pdf",
        ]
        names += ["src/", "tone.wav"]
        self.assertEqual(seen["names"], names)
        self.assertEqual(seen["bySize"][:4], ["empty/", "photos/", "src/", "notes.txt"])
        self.assertEqual(seen["sort"], ["Size ascending"])
        self.assertEqual(seen["bySizeDown"][:2], ["disk.iso", "backup.tar.gz"])
        self.assertEqual(seen["address"], "?sort=size&order=desc")
        size = (self.folder.path / "cover.png").stat().st_size
        self.assertEqual(seen["sizes"][1], f"{size:,} bytes")
        self.assertRegex(seen["sizes"][0], r"^\d+(\.\d)? kB$")
        shown, exact, machine = seen["time"]
        self.assertRegex(shown, r"^\d+ \w+ 20\d\d$")
        self.assertRegex(exact, r"day,? \d+ \w+ 20\d\d.* \d\d:\d\d:\d\d")
        self.assertRegex(machine, r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(seen["filtered"], ["README.md", "report.pdf"])
        self.assertEqual(seen["count"], "2 of 10 shown")
        self.assertEqual(
            [seen["first"], seen["second"], seen["again"]], ["README.md", "report.pdf", "README.md"]
        )
        self.assertEqual(seen["outline"], "solid")
        self.assertEqual(seen["unfiltered"], 10)
        self.assertEqual(seen["preview"], ["/notes.txt?view", "some notes"])
        self.assertEqual(seen["crumbs"], [["Root", "../../"], ["src", "../"], ["deep", None]])
        white, dark, label, kept = seen["theme"]
        self.assertEqual((white, dark, kept), ("rgb(255, 255, 255)", "rgb(15, 19, 24)", "rgb(15, 19, 24)"))
        self.assertEqual(label, "Theme: dark")
        self.assertEqual(seen["archives"], ["?archive=zip", "?archive=tar", "?archive=tar.zst"])

    def test_the_grid_loads_what_is_near(self) -> None:
        picture = png(64, 48, 7)
        for number in range(400):
            self.folder.write(f"many/{number:03}.png", picture)
        seen = self.play("grid")
        self.assertEqual(seen["count"], 400)
        self.assertTrue(seen["lazy"])
        self.assertEqual(seen["shown"], 64)
        self.assertIn("/many/000.png", seen["loaded"])
        self.assertNotIn("/many/399.png", seen["loaded"])
        self.assertEqual(seen["right"], "001.png")
        self.assertTrue(seen["down"])
        self.assertEqual(seen["table"], 1)

    def test_without_javascript(self) -> None:
        self.large()
        seen = self.play("plain")
        self.assertEqual(len(seen["names"]), 11)
        self.assertEqual(seen["address"], "?sort=size&order=asc")
        self.assertEqual(seen["grid"], 11)
        self.assertEqual(seen["preview"], ["/notes.txt?view=", "some notes"])
        self.assertEqual(seen["fromGrid"], "some notes")
        self.assertEqual(seen["back"], "/src/")
        self.assertEqual(seen["hidden"], [False, False])
        self.assertEqual(seen["large"], 10_000)
        self.assertRegex(seen["time"], r"^\d+ \w{3} 20\d\d \d\d:\d\d$")

    def test_hostile_names_are_text(self) -> None:
        folder = self.folder.folder("hostile")
        for number, name in enumerate(HOSTILE):
            path = os.path.join(os.fsencode(folder), name)
            Path(os.fsdecode(path)).write_text(f"file {number}")
            USER.own(os.fsdecode(path))
        self.folder.write("hostile/README.md", HOSTILE_README)
        seen = self.play("hostile")
        shown = sorted(name.decode("utf-8", "replace") for name in [*HOSTILE, b"README.md"])
        for shape in seen["shapes"]:
            self.assertEqual(sorted(shape["names"]), shown)
            self.assertEqual((shape["foreign"], shape["pictures"], shape["isolated"]), ([], 0, len(shown)))
        contents = sorted([*(f"file {number}" for number in range(len(HOSTILE))), HOSTILE_README] * 2)
        self.assertEqual(sorted(text for _, text in seen["follow"]), contents)
        self.assertEqual({status for status, _ in seen["follow"]}, {200})
        self.assertEqual(seen["readme"], 0)

    def test_a_large_folder_stays_usable(self) -> None:
        self.large()
        seen = self.play("large")
        self.assertLessEqual(seen["first"], 1000)
        self.assertGreater(seen["scrolled"], seen["first"])
        self.assertEqual(seen["filtered"], ["file-09876.txt"])
        self.assertEqual(seen["count"], "1 of 10,000 shown")
        self.assertLessEqual(seen["reset"], 1000)

    def large(self) -> None:
        """A folder of 10,000 files."""
        folder = self.folder.folder("large")
        for number in range(10_000):
            (folder / f"file-{number:05}.txt").touch()
