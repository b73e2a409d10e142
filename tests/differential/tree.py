"""The tree both servers serve: names, types, links and permissions that a file server meets."""

from __future__ import annotations

import os
import random
from pathlib import Path

from tests.support import Folder

MODIFIED = 1_700_000_000  # Tue, 14 Nov 2023 22:13:20 GMT

# Names whose type is old enough that no two versions of Python disagree on it.
TYPED = (
    *("page.html", "page.htm", "UPPER.HTML", "plain.txt", "style.css", "table.csv", "data.json"),
    *("image.png", "image.jpg", "image.gif", "image.svg", "doc.pdf", "movie.mp4", "sound.mp3"),
    *("a.tar", "a.zip", "a.tar.gz", "a.txt.gz", "a.bz2", "a.xz", "a.Z", "noext", "unknown.qqq", "a.GZ"),
)

NASTY: tuple[bytes, ...] = (
    *(b"with space.txt", b"100%.txt", b"%41.txt", b"hash#tag.txt", b"what?.txt", b"a&b<c>\"d'.txt"),
    *(b"semi;colon.txt", b"plus+plus.txt", b"co:lon.txt", b"~tilde.txt", b"-dash.txt", b"comma,.txt"),
    *(b"equals=.txt", b"at@.txt", b"[brackets]{}.txt", b"back\\slash.txt", b"trailing.", b"...", b"....txt"),
    *("é.txt".encode(), "日本語.txt".encode(), "😀.txt".encode(), b"latin-\xff.txt", b"\xe7w\xf0.txt"),
    *(b"new\nline.txt", b"tab\t.txt", b"n" * 200 + b".txt", b"a^b`c|d.txt", b"$!*().txt"),
)

FOLDERS: tuple[bytes, ...] = (
    *(
        b"empty",
        b"nested",
        b"nested/a",
        b"nested/a/b",
        b"dir with space",
        "dír".encode(),
        b"dir\xff",
        b"semi;dir",
    ),
    *(b"with_index", b"with_htm", b"both", b"index_is_folder", b"folder.txt", b".hidden", b".well-known"),
)


def build(folder: Folder, outside: Folder) -> None:
    """Fill `folder`; links that lead out lead into `outside`."""
    chance = random.Random(1)
    for path in FOLDERS:
        folder.folder(os.fsdecode(path))
    for number, typed in enumerate(TYPED):
        folder.write(typed, f"{typed} {'x' * number}\n")
    for nasty in NASTY:
        folder.write(nasty, nasty)
    folder.write("empty.txt")
    folder.write("big.bin", chance.randbytes(3_000_000))
    folder.write("big.txt", "All work and no play makes Jack a dull boy.\n" * 3000)
    folder.write("nested/file.txt", "nested")
    folder.write("nested/a/file.txt", "nested/a")
    folder.write("nested/a/b/file.txt", "nested/a/b")
    folder.write("with_index/index.html", "<p>index.html")
    folder.write("with_htm/index.htm", "<p>index.htm")
    folder.write("both/index.html", "<p>html")
    folder.write("both/index.htm", "<p>htm")
    folder.write("index_is_folder/index.html/file.txt", "in a folder")
    folder.write("index_is_folder/index.htm", "<p>the second")
    folder.write(".dotfile", "hidden")
    folder.write(".hidden/file.txt", "hidden")
    folder.write(".well-known/security.txt", "Contact: x")
    folder.write("unreadable.txt", "secret").chmod(0)
    folder.write("unreadable/file.txt", "secret")
    outside.write("secret.txt", "outside")
    outside.write("folder/file.txt", "outside")
    for name, target in (
        ("link.txt", "plain.txt"),
        ("link_folder", "nested"),
        ("link_absolute.txt", folder.path / "plain.txt"),
        ("link_up_and_back.txt", f"../{folder.path.name}/plain.txt"),
        ("link_dangling", "missing"),
        ("link_loop", "link_loop"),
        ("out.txt", outside.path / "secret.txt"),
        ("out_folder", outside.path / "folder"),
    ):
        (folder.path / name).symlink_to(target)
    os.mkfifo(folder.path / "fifo")
    for entry in sorted(folder.path.rglob("*"), reverse=True):
        os.utime(entry, (MODIFIED, MODIFIED), follow_symlinks=False)
    os.utime(folder.path / "empty.txt", (0, 0))
    Path(folder.path / "unreadable").chmod(0)
