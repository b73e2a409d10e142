"""The requests: some hundreds, each a method, a target as bytes, headers and a version."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

from tests.differential.tree import FOLDERS, NASTY, TYPED

FILES = ("page.html", "plain.txt", "big.bin", "empty.txt", "nested/file.txt")
LINKS = (
    *("link.txt", "link_folder", "link_folder/", "link_folder/file.txt", "link_absolute.txt"),
    *("link_up_and_back.txt", "link_dangling", "link_loop", "out.txt", "out_folder", "out_folder/"),
    *("out_folder/file.txt", "link_dangling/x", "link_loop/x"),
)
DOTTED = (
    *(".dotfile", ".hidden", ".hidden/", ".hidden/file.txt", ".missing", "nested/.missing"),
    *(".well-known", ".well-known/", ".well-known/security.txt"),
)
SHAPES = (
    *(
        "/",
        "//",
        "///",
        "/.",
        "/./",
        "/..",
        "/../",
        "/../../..",
        "/../../etc/passwd",
        "/?x=1",
        "/#x",
        "/?",
        "/??",
    ),
    *(
        "//plain.txt",
        "///plain.txt",
        "/./plain.txt",
        "/nested/../plain.txt",
        "/../plain.txt",
        "/nested//file.txt",
    ),
    *(
        "/nested/./a/./file.txt",
        "/nested/a/../a/b/../file.txt",
        "/plain.txt/.",
        "/plain.txt/..",
        "/plain.txt/",
    ),
    *("/plain.txt/x", "/plain.txt//", "/missing", "/missing/", "/missing/../plain.txt", "/missing/x/y"),
    *(
        "/plain.txt?",
        "/plain.txt?x=/../y",
        "/plain.txt?x#y",
        "/plain.txt#frag",
        "/plain.txt#?x",
        "/plain.txt?a?b",
    ),
    *(
        "/nested",
        "/nested/",
        "/nested//",
        "/nested?x=1",
        "/nested/?x=1",
        "/nested?",
        "/nested#frag",
        "/nested?x#y",
    ),
    *("//nested", "///nested", "/./nested", "/nested/a", "/nested/../nested", "/nested/.", "/nested/a/.."),
    *("/nested?x=//evil", "/nested?/", "/nested/a?b/", "/nested?%0d%0aX:y", "/nested;x", "/nested;x=1?y"),
    *("//evil.example/..%2fnested", "//evil.example/%2e%2e/nested", "/evil.example/../nested"),
    *(
        "/%70lain.txt",
        "/%70%6C%61%69%6e.txt",
        "/plain%2Etxt",
        "/%2e/plain.txt",
        "/%2e%2e/plain.txt",
        "/%2E%2e/",
    ),
    *(
        "/nested%2ffile.txt",
        "/nested%2Fa%2Ffile.txt",
        "/nested/%2e%2e%2fplain.txt",
        "/%2e%2e%2f%2e%2e%2fetc/passwd",
    ),
    *("/%2fplain.txt", "/%2f%2fplain.txt", "/..%2f..%2f..%2fetc%2fpasswd", "/nested/..%2f..%2fplain.txt"),
    *("/nested%2f", "/nested%2F", "/nested/%2f", "/nested%2f?x=1", "/plain.txt%2f", "/with_index%2f"),
    *("/%", "/%2", "/%zz", "/plain.txt%", "/%%41.txt", "/%2541.txt", "/%41.txt", "/100%.txt", "/100%25.txt"),
    *("/plain.txt%20", "/%20plain.txt", "/with+space.txt", "/with%20space.txt", "/plain.TXT", "/PLAIN.txt"),
    *(
        "/%ff",
        "/%ed%b3%bf",
        "/latin-%ff.txt",
        "/latin-%FF.txt",
        "/latin-%ED%B3%BF.txt",
        "/latin-%ed%b3%bf.txt",
    ),
    *("/%c3%a9.txt", "/e%cc%81.txt", "/%e7w%f0.txt", "/dir%ff", "/dir%ff/", "/dir%ED%B3%BF/", "/%C0%AEx"),
    *(
        "/folder.txt",
        "/folder.txt/",
        "/with_index",
        "/with_index/",
        "/with_index/index.html",
        "/with_index/index.htm",
    ),
    *(
        "/with_htm/",
        "/both/",
        "/index_is_folder/",
        "/index_is_folder/index.html",
        "/index_is_folder/index.html/",
    ),
    *(
        "/unreadable.txt",
        "/unreadable",
        "/unreadable/",
        "/unreadable/file.txt",
        "/empty",
        "/empty/",
        "/empty/x",
    ),
    *(
        "/fifo",
        "/fifo/",
        "/plain.txt:stream",
        "/CON",
        "/C:/plain.txt",
        "/~root",
        "/" + "x/" * 200,
        "/" + "y" * 300,
    ),
    *("/%00", "/plain.txt%00", "/plain.txt%00.html", "/nested%00/", "/nested/%00/../file.txt"),
    *(
        "/\\evil.example",
        "/\\evil.example/..%2fnested",
        "/nested\\file.txt",
        "/..\\plain.txt",
        "/back%5Cslash.txt",
    ),
    *("/\\evil.example/%2e%2e/nested", "/%5cevil.example/..%2fnested"),
)
DATES = (
    *("Tue, 14 Nov 2023 22:13:20 GMT", "Tue, 14 Nov 2023 22:13:19 GMT", "Tue, 14 Nov 2023 22:13:21 GMT"),
    *("Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 2100 23:59:59 GMT", "yesterday", "", "0", "-1"),
    *("Tuesday, 14-Nov-23 22:13:20 GMT", "Tue Nov 14 22:13:20 2023"),
)
RANGES = (
    *(
        "bytes=0-0",
        "bytes=0-",
        "bytes=1-3",
        "bytes=-2",
        "bytes=-0",
        "bytes=2-1",
        "bytes=99999999-",
        "bytes=0-99999999",
    ),
    *(
        "bytes=0-1,3-4",
        "bytes=-99999999",
        "bytes=x",
        "bytes=",
        "0-1",
        "lines=0-1",
        "bytes=0-1,",
        "bytes=0-1, 3-4,6-7",
    ),
    *("bytes=" + ",".join(f"{n * 2}-{n * 2}" for n in range(20)), "bytes=18446744073709551616-", "bytes=--1"),
)
CONDITIONS: tuple[dict[str, str], ...] = (
    {"If-None-Match": "*"},
    {"If-None-Match": '"other"'},
    {"If-None-Match": '"other", W/"another"'},
    {"If-None-Match": "*", "If-Modified-Since": DATES[0]},
    {"If-None-Match": '"other"', "If-Modified-Since": DATES[0]},
    {"If-Match": "*"},
    {"If-Match": '"other"'},
    {"If-Unmodified-Since": DATES[0]},
    {"If-Unmodified-Since": DATES[3]},
    {"If-Range": '"other"', "Range": "bytes=0-1"},
    {"If-Range": DATES[0], "Range": "bytes=0-1"},
    {"If-Range": DATES[3], "Range": "bytes=0-1"},
)
METHODS = (
    *(
        "HEAD",
        "POST",
        "PUT",
        "DELETE",
        "PATCH",
        "OPTIONS",
        "TRACE",
        "PROPFIND",
        "FOO",
        "get",
        "GETs",
        "custom",
    ),
)
ENCODINGS = (
    "gzip",
    "br",
    "zstd",
    "deflate",
    "identity",
    "*",
    "gzip;q=0",
    "gzip, br, zstd",
    "gzip;q=0.5, br;q=0.1",
)


@dataclass(frozen=True)
class Case:
    """One request."""

    target: bytes
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    version: str = "HTTP/1.1"

    def wire(self) -> bytes:
        """The request as it is sent: `Connection: close`, and a Host where the case has none."""
        line = b"%s %s %s" % (self.method.encode(), self.target, self.version.encode())
        headers = {"Host": "localhost", "Connection": "close", **self.headers}
        lines = [f"{name}: {value}".encode() for name, value in headers.items() if value != "(none)"]
        return b"\r\n".join([line.rstrip(b" "), *lines, b"", b""])

    def __str__(self) -> str:
        shown = self.target.decode("ascii", "backslashreplace")
        shown = shown if len(shown) < 80 else shown[:77] + "..."
        return " ".join([self.method, shown, self.version, str(self.headers or "")]).strip()


def all_cases() -> Iterator[Case]:
    """Every request, each once."""
    seen = set()
    for case in itertools.chain(_paths(), _headers(), _protocol()):
        key = case.wire()
        if key not in seen:
            seen.add(key)
            yield case


def _paths() -> Iterator[Case]:
    for shape in SHAPES:
        yield Case(shape.encode())
    for name in (*(typed.encode() for typed in TYPED), *NASTY, *FOLDERS):
        target = b"/" + quote(name).encode()
        yield Case(target)
        yield Case(target + b"/")
    for link in (*LINKS, *DOTTED):
        yield Case(b"/" + link.encode())
    for target in (
        b"/",
        b"/nested",
        b"/nested/",
        b"/with_index/",
        b"/plain.txt",
        b"/missing",
        b"/big.bin",
        b"/fifo",
    ):
        yield Case(target, "HEAD")


def _headers() -> Iterator[Case]:
    for date in DATES:
        for target in (b"/plain.txt", b"/with_index/", b"/nested/", b"/missing"):
            yield Case(target, headers={"If-Modified-Since": date})
        yield Case(b"/plain.txt", "HEAD", {"If-Modified-Since": date})
    for value in RANGES:
        for target in (b"/plain.txt", b"/empty.txt", b"/big.bin"):
            yield Case(target, headers={"Range": value})
    yield Case(b"/plain.txt", "HEAD", {"Range": "bytes=0-1"})
    yield Case(b"/nested/", headers={"Range": "bytes=0-1"})
    yield Case(b"/missing", headers={"Range": "bytes=0-1"})
    for condition in CONDITIONS:
        for target in (b"/plain.txt", b"/with_index/", b"/missing"):
            yield Case(target, headers=condition)
    for encoding in ENCODINGS:
        for target in (b"/big.txt", b"/plain.txt", b"/big.bin", b"/a.txt.gz", b"/nested/"):
            yield Case(target, headers={"Accept-Encoding": encoding})
    for accept in ("application/json", "text/plain", "text/html", "*/*", "image/png"):
        for target in (b"/nested/", b"/missing", b"/plain.txt"):
            yield Case(target, headers={"Accept": accept})


def _protocol() -> Iterator[Case]:
    for method in METHODS:
        for target in (b"/plain.txt", b"/nested/", b"/nested", b"/missing"):
            yield Case(target, method)
    for version in (
        "HTTP/1.0",
        "HTTP/1.1",
        "HTTP/1.32",
        "HTTP/2.0",
        "HTTP/9.9",
        "HTTP/x.y",
        "HTTP/1",
        "http/1.1",
    ):
        yield Case(b"/plain.txt", version=version)
    yield Case(b"/plain.txt", version="HTTP/1.0", headers={"Host": "(none)"})
    yield Case(b"/plain.txt", headers={"Host": "(none)"})
    yield Case(b"/plain.txt", version="", headers={"Host": "(none)", "Connection": "(none)"})
    yield Case(b"http://localhost/plain.txt")
    yield Case(b"http://localhost/nested/")
    yield Case(b"plain.txt")
    yield Case(b"/plain.txt extra")
    for size in (8_000, 9_000, 70_000):
        yield Case(b"/" + b"z" * size)
        yield Case(b"/plain.txt", headers={"X-Long": "z" * size})
    yield Case(b"/plain.txt", headers={f"X-{number}": "y" for number in range(150)})
    yield Case(b"/plain.txt", headers={"X-Bad": "a\x00b"})
    yield Case(b"/plain.txt", headers={"X Bad": "a"})
